package com.example.fairlead;

import fairlead.v1.ApprovalTicketServiceGrpc;
import fairlead.v1.AuditServiceGrpc;
import fairlead.v1.GateServiceGrpc;
import fairlead.v1.WorkerServiceGrpc;
import fairlead.v1.WorkflowServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.util.concurrent.TimeUnit;

/** Channels to the two endpoints of a sidecar. Nothing is dialled before the first call, and again when it is gone. */
final class Connection implements AutoCloseable {
  static final long TIMEOUT_MILLIS = 30_000;

  private static final int LARGEST_ANSWER_BYTES = 64 << 20;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final EventLoopGroup loop = new EpollEventLoopGroup(1);
  private final ManagedChannel agent;
  private final ManagedChannel operator;
  private final String token;

  Connection(String endpoint, String token, String operatorSocket) {
    this.token = token;
    // The sidecar is on the loopback of the same pod.
    agent =
        NettyChannelBuilder.forTarget(endpoint)
            .usePlaintext()
            .proxyDetector(address -> null)
            .maxInboundMessageSize(LARGEST_ANSWER_BYTES)
            .build();
    // Access to the socket is the credential.
    operator =
        NettyChannelBuilder.forAddress(new DomainSocketAddress(operatorSocket))
            .eventLoopGroup(loop)
            .channelType(EpollDomainSocketChannel.class)
            .overrideAuthority("localhost")
            .usePlaintext()
            .maxInboundMessageSize(LARGEST_ANSWER_BYTES)
            .build();
  }

  GateServiceGrpc.GateServiceBlockingStub gate() {
    return as(token, GateServiceGrpc.newBlockingStub(agent));
  }

  GateServiceGrpc.GateServiceBlockingStub gateAs(String stranger) {
    return as(stranger, GateServiceGrpc.newBlockingStub(agent));
  }

  ApprovalTicketServiceGrpc.ApprovalTicketServiceBlockingStub tickets() {
    return as(token, ApprovalTicketServiceGrpc.newBlockingStub(agent));
  }

  WorkflowServiceGrpc.WorkflowServiceBlockingStub runs() {
    return as(token, WorkflowServiceGrpc.newBlockingStub(agent));
  }

  WorkerServiceGrpc.WorkerServiceBlockingStub work() {
    return as(token, WorkerServiceGrpc.newBlockingStub(agent));
  }

  AuditServiceGrpc.AuditServiceBlockingStub audit() {
    return AuditServiceGrpc.newBlockingStub(operator).withDeadlineAfter(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** After an outage a channel waits longer and longer, up to two minutes; this ends the wait. */
  void dialAgain() {
    agent.resetConnectBackoff();
  }

  @Override
  public void close() {
    agent.shutdownNow();
    operator.shutdownNow();
    loop.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }

  /** A stub for one call: who asks, and its deadline, which counts from here. */
  private static <S extends AbstractStub<S>> S as(String token, S stub) {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
        .withDeadlineAfter(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
  }
}
