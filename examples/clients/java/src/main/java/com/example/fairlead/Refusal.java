package com.example.fairlead;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** What a refused call says: its code, and the details that programs look at. */
final class Refusal {
  private Refusal() {}

  static Map<String, Object> of(Supplier<?> call) throws InvalidProtocolBufferException {
    StatusRuntimeException error = thrownBy(call);
    if (error == null) {
      throw new IllegalStateException("the call was not refused");
    }
    ErrorInfo info = ErrorInfo.getDefaultInstance();
    BadRequest bad = BadRequest.getDefaultInstance();
    boolean retry = false;
    Status status = StatusProto.fromThrowable(error);
    for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        info = detail.unpack(ErrorInfo.class);
      } else if (detail.is(BadRequest.class)) {
        bad = detail.unpack(BadRequest.class);
      } else if (detail.is(RetryInfo.class)) {
        retry = true;
      }
    }
    return Map.of(
        "code", error.getStatus().getCode().value(),
        "reason", info.getReason(),
        "metadata", info.getMetadataMap(),
        "fields",
            bad.getFieldViolationsList().stream().map(BadRequest.FieldViolation::getField).sorted().toList(),
        "retry", retry);
  }

  /** The code of a call's error; 0 when there was none. */
  static int codeOf(Supplier<?> call) {
    StatusRuntimeException error = thrownBy(call);
    return error == null ? 0 : error.getStatus().getCode().value();
  }

  private static StatusRuntimeException thrownBy(Supplier<?> call) {
    try {
      call.get();
      return null;
    } catch (StatusRuntimeException error) {
      return error;
    }
  }
}
