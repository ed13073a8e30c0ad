/** A problem's detail, which has lower case and no full stop, as a sentence for the user. */
export function sentence(detail: string): string {
  const begun = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
