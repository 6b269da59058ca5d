// How the scripts of all plugins ask our Python operators, and what is told when there is no answer.

const { __fou__: fou } = window;
const LATE = "the server does not answer. Is curate triage still running?";
const REFUSED = { // by HTTP status; the App tells no more of such an answer than "Forbidden"
  401: "you are not logged in any more. Load the page anew.",
  403: "your token only lets you look, or the page is of another time. Load it anew.",
};

/** A failed request in words for the person. */
export function words(error) {
  if (Object.hasOwn(REFUSED, error?.code)) return REFUSED[error.code];
  const text = String(error?.message ?? error ?? "");
  return !text || /fetch|network/i.test(text) ? LATE : text;
}

/** Rejects after some milliseconds. */
export const late = (limit) => new Promise((_, reject) => setTimeout(() => reject(new Error(LATE)), limit));

/** Ask an operator, past the App's queue, which waits for a repaint before it sends anything; without a view.
 * Rejects with a text for the person. */
export async function ask(operator_uri, dataset_name, params = {}, limit = null) {
  const body = { operator_uri, dataset_name, params, view: [] };
  const sent = fou.getFetchFunction()("POST", "/operators/execute", body);
  const { result, error } = await Promise.race([sent, ...(limit ? [late(limit)] : [])]).catch((reason) => {
    throw new Error(words(reason));
  });
  if (error || !result || result.error) throw new Error(result?.error || error || LATE);
  return result;
}
