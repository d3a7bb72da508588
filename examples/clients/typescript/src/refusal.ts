// What a refused call says: its code, and the details that programs look at.
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

export async function refusal(call: () => Promise<unknown>) {
  try {
    await call();
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    const [bad] = error.findDetails(BadRequestSchema);
    return {
      code: codeOfError(error) as number,
      reason: info?.reason ?? "",
      metadata: info?.metadata ?? {},
      fields: (bad?.fieldViolations ?? []).map((violation) => violation.field).sort(),
      retry: error.findDetails(RetryInfoSchema).length > 0,
    };
  }
  throw new Error("the call was not refused");
}

/** The code of an error of a call; 0 when there was none. */
export async function codeOf(call: Promise<unknown>): Promise<number> {
  return call.then(
    () => 0,
    (thrown) => codeOfError(ConnectError.from(thrown)),
  );
}

/** The code of an error. Of a connection that was lost Connect says ABORTED or INTERNAL, with what Node.js said of it, or
 * CANCELED, because that ends the stream; other languages call it UNAVAILABLE, and the call may be repeated. */
function codeOfError({ cause, code, rawMessage }: ConnectError): Code {
  const isFailure = cause instanceof Error && "code" in cause && typeof cause.code === "string";
  const isLost =
    (isFailure && (code === Code.Aborted || code === Code.Internal)) ||
    (code === Code.Canceled && rawMessage.startsWith("http/2 stream closed"));
  return isLost ? Code.Unavailable : code;
}
