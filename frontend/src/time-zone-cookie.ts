/** The cookie with the browser's time zone, from which this server computes the user's date. */
export const TIME_ZONE = "time-zone";
