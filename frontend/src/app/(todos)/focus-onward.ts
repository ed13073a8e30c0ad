import { type RefObject, useLayoutEffect } from "react";

/**
 * Where a row goes away under the keyboard, the focus goes to the next row, or to `last` where there is
 * none, and not to the top of the page.
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
