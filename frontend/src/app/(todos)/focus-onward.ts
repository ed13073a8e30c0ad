import { type RefObject, useLayoutEffect } from "react";

/**
 * Moves the focus of a removed row to the next row, or to `last` if there is
 * none, instead of the top of the page.
 */
export function useFocusOnward(row: RefObject<HTMLElement | null>, last: string): void {
  useLayoutEffect(() => {
    const element = row.current;
    return () => {
      if (!element?.contains(document.activeElement)) return;
      const neighbour = element.nextElementSibling ?? element.previousElementSibling;
      (neighbour?.querySelector("button") ?? document.getElementById(last))?.focus();
    };
  }, [row, last]);
}
