// What a refused call says: its code, and the details that programs look at.
import { ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

export async function refusal(call: () => Promise<unknown>) {
  try {
    await call();
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    const [bad] = error.findDetails(BadRequestSchema);
    return {
      code: error.code as number,
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
    (thrown) => ConnectError.from(thrown).code,
  );
}
