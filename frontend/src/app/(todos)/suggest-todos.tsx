"use client";

import { useRouter } from "next/navigation";
import { useEffect, useRef, useState, useTransition } from "react";

import { acceptSuggestions } from "@/actions";
import { SparkIcon } from "@/app/icons";
import { describeDay, urgencyOf } from "@/due-date";
import { logInAddress } from "@/log-in-address";
import { sentence } from "@/sentence";
import { type Suggestion, suggestionsFor, SuggestionsFailed } from "@/suggestions";

import { DueDate } from "./due-date";
import { useFocusOnward } from "./focus-onward";

const FIELD = "suggest-text";

interface Offer extends Suggestion {
  key: number;
}

/** Suggests todos from a text; only those that the user accepts are created. */
export function SuggestTodos({ today }: { today: string }) {
  const router = useRouter();
  const [offers, setOffers] = useState<Offer[]>([]);
  const [news, setNews] = useState("");
  const [error, setError] = useState<string>();
  const [asking, setAsking] = useState<AbortController>();
  const [accepting, startAccepting] = useTransition();
  const nextKey = useRef(0);

  useEffect(() => () => asking?.abort(), [asking]);

  async function ask(text: string) {
    const controller = new AbortController();
    setAsking(controller);
    setOffers([]);
    setError(undefined);
    setNews("Reading your text");
    let found = 0;
    try {
      for await (const suggestion of suggestionsFor(text, controller.signal)) {
        found += 1;
        setOffers((before) => [...before, { ...suggestion, key: nextKey.current++ }]);
      }
    } catch (reason) {
      if (reason instanceof SuggestionsFailed && reason.status === 401) {
        router.push(logInAddress(location.pathname + location.search, true));
      } else if (!controller.signal.aborted) {
        setError(
          reason instanceof SuggestionsFailed
            ? sentence(reason.message)
            : "The service does not answer at the moment. Please try again in a little while.",
        );
      }
    }
    setNews(found === 1 ? "1 suggestion" : `${found === 0 ? "No" : found} suggestions`);
    setAsking(undefined);
  }

  function accept(accepted: Offer[]) {
    startAccepting(async () => {
      // The newest todo is on top: reversed, they appear in the order of the text.
      const wanted = accepted.toReversed();
      const result = await acceptSuggestions(wanted.map(({ title, due_date }) => ({ title, due_date })));
      const keys = new Set(wanted.slice(0, result.accepted).map(({ key }) => key));
      setOffers((before) => before.filter(({ key }) => !keys.has(key)));
      setError(result.error);
      setNews(keys.size === 1 ? "1 todo added" : `${keys.size} todos added`);
    });
  }

  return (
    <details className="suggest">
      <summary>
        <SparkIcon /> Turn a text into todos
      </summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const text = new FormData(event.currentTarget).get("text");
          if (!asking) void ask(String(text));
        }}
      >
        <label htmlFor={FIELD}>Notes, a letter, what is on your mind</label>
        <textarea id={FIELD} name="text" rows={4} required maxLength={2000} />
        <div className="buttons">
          {asking && (
            <button type="button" className="quiet" onClick={() => asking.abort()}>
              Stop
            </button>
          )}
          <button className="primary" aria-disabled={asking !== undefined}>
            {asking ? "Reading" : "Suggest todos"}
          </button>
        </div>
      </form>
      {error && (
        <p role="alert" className="error">
          {error}
        </p>
      )}
      <p role="status" className={news ? "count" : "hidden"}>
        {news}
      </p>
      {offers.length > 0 && (
        <>
          <ul className="offers" aria-label="Suggestions" aria-busy={accepting || undefined}>
            {offers.map((offer) => (
              <OfferRow
                key={offer.key}
                offer={offer}
                today={today}
                accept={() => accept([offer])}
                discard={() => setOffers((before) => before.filter((other) => other !== offer))}
              />
            ))}
          </ul>
          {offers.length > 1 && !asking && (
            <div className="buttons">
              <button type="button" className="quiet" onClick={() => setOffers([])}>
                Discard all
              </button>
              <button type="button" className="primary" onClick={() => accept(offers)}>
                Add all {offers.length}
              </button>
            </div>
          )}
        </>
      )}
    </details>
  );
}

function OfferRow(props: {
  offer: Offer;
  today: string;
  accept: () => void;
  discard: () => void;
}) {
  const { title, due_date } = props.offer;
  const row = useRef<HTMLLIElement>(null);
  useFocusOnward(row, FIELD);
  return (
    <li ref={row} className="offer">
      <div className="what">
        <span className="title">{title}</span>
        {due_date && (
          <DueDate
            day={due_date}
            label={describeDay(due_date, props.today)}
            urgency={urgencyOf(due_date, props.today)}
          />
        )}
      </div>
      <div className="buttons">
        <button type="button" className="quiet" aria-label={`Discard: ${title}`} onClick={props.discard}>
          Discard
        </button>
        <button type="button" className="secondary" aria-label={`Add: ${title}`} onClick={props.accept}>
          Add
        </button>
      </div>
    </li>
  );
}
