package com.example.fairlead;

/** The example client in Java. It goes through the scenes of examples/clients/README.md, one JSON line for each. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) throws Exception {
    try (Connection connection =
        new Connection(
            System.getenv("FAIRLEAD_ENDPOINT"),
            System.getenv("FAIRLEAD_TOKEN"),
            System.getenv("FAIRLEAD_OPERATOR_SOCKET"))) {
      Gate gate = new Gate(connection);
      if (arguments.length == 2 && arguments[0].equals("--bench")) {
        gate.bench(Integer.parseInt(arguments[1]));
        return;
      }
      Runs runs = new Runs(connection);
      String invocation = gate.admit();
      gate.settle(invocation);
      gate.refusals(invocation);
      gate.tool();
      runs.events(runs.run());
      gate.deadline();
      gate.reconnect();
    }
  }
}
