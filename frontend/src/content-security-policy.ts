/** The policy of pages: only content from this server or with the request's nonce. */
export function contentSecurityPolicy(nonce: string, https: boolean, development: boolean): string {
  // The development server evaluates scripts and writes styles into the page.
  const script = development ? "'unsafe-eval'" : "";
  const style = development ? "'unsafe-inline'" : `'nonce-${nonce}'`;
  const directives = [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic' ${script}`,
    `style-src 'self' ${style}`,
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    ...(https ? ["upgrade-insecure-requests"] : []),
  ];
  return directives.map((directive) => directive.trim()).join("; ");
}
