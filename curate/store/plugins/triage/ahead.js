// Has the images that come next ready before they are asked for: their documents in the App's own store, and their
// files in the browser's cache.

const { __fos__: fos } = window;
const QUERY = "mainSampleQuery"; // the App's name for what an opened image asks
const KEPT = 4, FRESH_MS = 60000; // others may decide meanwhile: older documents are asked for anew
const held = new Map(); // sample id -> { release, at }
let pattern = null, watched = null;

/** Learn from the App itself how it asks for the document of an opened image. */
function watch() {
  const environment = fos.getCurrentEnvironment?.();
  if (!environment?.execute || watched === environment) return environment;
  const execute = environment.execute;
  environment.execute = function (config) {
    const request = config?.operation?.request;
    if (request?.node?.params?.name === QUERY && request.variables?.filter?.id) pattern = config.operation;
    return execute.call(this, config);
  };
  watched = environment;
  pattern = null;
  held.clear();
  return environment;
}

/** The App's question for the open image, put for another one. */
function asked(id) {
  const { request, fragment, root } = pattern;
  const variables = { ...request.variables, filter: { ...request.variables.filter, id } };
  const identifier = request.identifier.replaceAll(request.variables.filter.id, id);
  const owner = { ...request, variables, identifier };
  return {
    request: owner,
    fragment: { ...fragment, variables, owner },
    root: { ...root, variables },
  };
}

function release(id) {
  held.get(id)?.release();
  held.delete(id);
}

/** Fetch what belongs to an image; a failure costs nothing but the lead. */
export async function prepare(id, paths) {
  const environment = watch();
  if (!environment || !pattern || !id) return;
  for (const [known, { at }] of held) if (performance.now() - at > FRESH_MS) release(known);
  if (held.has(id)) return;
  const operation = asked(id);
  const kept = environment.retain(operation);
  held.set(id, { release: () => kept.dispose(), at: performance.now() });
  if (held.size > KEPT) release(held.keys().next().value);
  try {
    const found = await environment.execute({ operation }).toPromise();
    files(environment.lookup(operation.fragment).data ?? found, paths);
  } catch {
    release(id);
  }
}

function files(data, paths) {
  const sample = data?.sample;
  for (const { field, url } of sample?.urls ?? []) {
    const wanted = !field.includes(".") || paths.some((path) => field.startsWith(`${path}.`));
    if (url && wanted) fetch(fos.getSampleSrc(url)).then((answer) => answer.blob()).catch(() => {});
  }
}

watch();
