/** The cookie in which a browser says its time zone, so that this server knows which day it is there. */
export const TIME_ZONE = "time-zone";
