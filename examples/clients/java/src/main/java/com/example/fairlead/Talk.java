package com.example.fairlead;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.google.protobuf.ProtocolMessageEnum;
import fairlead.v1.AmountOuterClass.Amount;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** What the example says to whoever runs it, one JSON line at a time. */
final class Talk {
  private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().create();
  private static final BufferedReader INPUT =
      new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

  private Talk() {}

  static void say(String scene, Map<String, ?> facts) {
    line("scene", scene, facts);
  }

  /** Asks for what a client cannot do. */
  static void please(String what, Map<String, ?> facts) {
    line("please", what, facts);
  }

  /** Waits for the answer: one line. */
  static void heard() throws IOException {
    INPUT.readLine();
  }

  /** The name of an enum's value; of one that this client does not know yet, its number. */
  static String named(ProtocolMessageEnum value, int number) {
    return value.toString().equals("UNRECOGNIZED") ? Integer.toString(number) : value.toString();
  }

  static JsonElement json(ByteString bytes) {
    return JsonParser.parseString(bytes.toStringUtf8());
  }

  static Map<String, Object> amount(Amount value) {
    return Map.of("nano_usd", value.getNanoUsd(), "tokens", value.getTokens(), "requests", value.getRequests());
  }

  private static void line(String kind, String name, Map<String, ?> facts) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put(kind, name);
    line.putAll(facts);
    System.out.println(GSON.toJson(line));
    System.out.flush();
  }
}
