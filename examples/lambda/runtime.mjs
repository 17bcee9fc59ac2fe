// Lambda's runtime API, as far as a handler needs it.
import { handler } from "./handler.mjs";

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
const post = (id, what, body) => fetch(`${api}/${id}/${what}`, { method: "POST", body: JSON.stringify(body) });

for (;;) {
  const invocation = await fetch(`${api}/next`);
  const id = invocation.headers.get("lambda-runtime-aws-request-id");
  try {
    await post(id, "response", await handler(await invocation.json()));
  } catch (e) {
    await post(id, "error", { errorType: e.name, errorMessage: e.message });
  }
}
