import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.avro.AvroParquetWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.LocalOutputFile;

/** Files of parquet-avro, as Kafka, Flink, Beam and Hadoop write them: Write ROWS.json FOLDER. The rows are the same, written out here. */
public final class Write {
  private static final List<String> failures = new ArrayList<>();
  private static Path folder;

  private static final String STRING = "{\"type\":\"string\"}";
  private static final String ENUM_POLICY = "{\"type\":\"enum\",\"name\":\"Policy\",\"symbols\":[\"alpha\",\"beta\"]}";
  private static final String ENUM_WINNER =
      "{\"type\":\"enum\",\"name\":\"Winner\",\"symbols\":[\"model_a\",\"model_b\",\"tie\"]}";
  private static final String MESSAGES =
      "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Message\",\"fields\":["
          + "{\"name\":\"role\",\"type\":\"string\"},{\"name\":\"content\",\"type\":\"string\"}]}}";
  private static final String[][] RESPONSES = {
    {"p1", "What is two plus two?", "Four.", "alpha"},
    {"p2", "Name a colour.", "Blue.", "beta"},
    {"p3", "Say nothing.", "", "alpha"},
  };

  private static Schema schema(String... namesAndTypes) {
    StringBuilder text = new StringBuilder("{\"type\":\"record\",\"name\":\"Row\",\"fields\":[");
    for (int i = 0; i < namesAndTypes.length; i += 2) {
      text.append(i == 0 ? "" : ",").append("{\"name\":\"").append(namesAndTypes[i]).append("\",\"type\":");
      text.append(namesAndTypes[i + 1]).append("}");
    }
    return new Schema.Parser().parse(text.append("]}").toString());
  }

  private static void save(String name, Schema schema, boolean oldLists, Object[]... rows) {
    Configuration configuration = new Configuration(false);
    configuration.setBoolean("parquet.avro.write-old-list-structure", oldLists);
    GenericData data = GenericData.get();
    try (var writer =
        AvroParquetWriter.<GenericData.Record>builder(new LocalOutputFile(folder.resolve(name)))
            .withSchema(schema)
            .withDataModel(data)
            .withConf(configuration)
            .withCompressionCodec(CompressionCodecName.GZIP)
            .build()) {
      for (Object[] row : rows) {
        GenericData.Record record = new GenericData.Record(schema);
        for (int i = 0; i < row.length; ++i) record.put(i, row[i]);
        writer.write(record);
      }
    } catch (Exception e) {
      failures.add(name + ": " + String.valueOf(e).split("\n")[0].replace('"', '\''));
      folder.resolve(name).toFile().delete();
    }
  }

  private interface Change {
    Object of(String[] row, Schema type);
  }

  /** The responses with one column changed. */
  private static void responses(String name, String column, String type, Change change) {
    String[] names = {"prompt_id", "prompt", "response", "policy"};
    String[] fields = new String[8];
    for (int i = 0; i < 4; ++i) {
      fields[2 * i] = names[i];
      fields[2 * i + 1] = names[i].equals(column) ? type : STRING;
    }
    Schema schema = schema(fields);
    Object[][] rows = new Object[RESPONSES.length][];
    for (int r = 0; r < rows.length; ++r) {
      rows[r] = RESPONSES[r].clone();
      Object[] row = new Object[4];
      for (int i = 0; i < 4; ++i) {
        row[i] = names[i].equals(column) ? change.of(RESPONSES[r], schema.getField(column).schema()) : RESPONSES[r][i];
      }
      rows[r] = row;
    }
    save(name, schema, true, rows);
  }

  private static ByteBuffer bytes(String text) {
    return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
  }

  private static Object messages(Schema type, String... rolesAndContents) {
    Schema message = type.getElementType();
    List<GenericData.Record> list = new ArrayList<>();
    for (int i = 0; i < rolesAndContents.length; i += 2) {
      GenericData.Record record = new GenericData.Record(message);
      record.put(0, rolesAndContents[i]);
      record.put(1, rolesAndContents[i + 1]);
      list.add(record);
    }
    return new GenericData.Array<>(type, list);
  }

  public static void main(String[] arguments) throws Exception {
    folder = Path.of(arguments[1]);
    Files.createDirectories(folder);
    responses("text.parquet", "", STRING, null);
    responses("policy_enum.parquet", "policy", ENUM_POLICY, (row, type) -> new GenericData.EnumSymbol(type, row[3]));
    responses("policy_bytes.parquet", "policy", "\"bytes\"", (row, type) -> bytes(row[3]));
    responses("response_bytes.parquet", "response", "\"bytes\"", (row, type) -> bytes(row[2]));
    responses("policy_nullable.parquet", "policy", "[\"null\",\"string\"]", (row, type) -> row[0].equals("p2") ? null : row[3]);
    responses("id_long.parquet", "prompt_id", "\"long\"", (row, type) -> Long.valueOf(row[0].substring(1)));
    responses("id_int.parquet", "prompt_id", "\"int\"", (row, type) -> Integer.valueOf(row[0].substring(1)));
    responses("id_uuid.parquet", "prompt_id", "{\"type\":\"string\",\"logicalType\":\"uuid\"}",
        (row, type) -> "00000000-0000-0000-0000-00000000000" + row[0].substring(1));
    responses("response_date.parquet", "response", "{\"type\":\"int\",\"logicalType\":\"date\"}", (row, type) -> 20787);
    responses("response_timestamp.parquet", "response", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
        (row, type) -> 1796043900000000L);
    responses("response_time.parquet", "response", "{\"type\":\"int\",\"logicalType\":\"time-millis\"}", (row, type) -> 47100000);
    responses("response_union.parquet", "response", "[\"string\",\"long\"]",
        (row, type) -> row[0].equals("p2") ? (Object) 4L : row[2]);
    responses("response_map.parquet", "response", "{\"type\":\"map\",\"values\":\"string\"}", (row, type) -> new TreeMap<>(Map.of("en", row[2])));
    Schema scores = schema("prompt_id", STRING, "policy", ENUM_POLICY, "sample", "\"int\"", "score", "\"float\"");
    Schema policy = scores.getField("policy").schema();
    save("scores.parquet", scores, true,
        new Object[] {"p1", new GenericData.EnumSymbol(policy, "alpha"), 0, 1.5f},
        new Object[] {"p2", new GenericData.EnumSymbol(policy, "alpha"), 0, -2.25f},
        new Object[] {"p1", new GenericData.EnumSymbol(policy, "beta"), 1, 3.0f});
    Schema decimals = schema("prompt_id", STRING, "policy", STRING, "sample", "\"int\"", "score",
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}");
    save("scores_decimal.parquet", decimals, true,
        new Object[] {"p1", "alpha", 0, ByteBuffer.wrap(new byte[] {0, (byte) 150})},
        new Object[] {"p2", "alpha", 0, ByteBuffer.wrap(new byte[] {-1, 31})},
        new Object[] {"p1", "beta", 1, ByteBuffer.wrap(new byte[] {1, 44})});
    Schema battles = schema("model_a", STRING, "model_b", STRING, "winner", ENUM_WINNER);
    Schema winner = battles.getField("winner").schema();
    save("battles_enum.parquet", battles, true,
        new Object[] {"alpha", "beta", new GenericData.EnumSymbol(winner, "model_a")},
        new Object[] {"beta", "gamma", new GenericData.EnumSymbol(winner, "tie")},
        new Object[] {"gamma", "alpha", new GenericData.EnumSymbol(winner, "model_b")});
    Schema chats = schema("prompt_id", STRING, "policy", STRING, "messages", MESSAGES);
    Schema list = chats.getField("messages").schema();
    for (boolean oldLists : new boolean[] {true, false}) {
      save(oldLists ? "messages_two_level.parquet" : "messages.parquet", chats, oldLists,
          new Object[] {"p1", "alpha", messages(list, "user", "What is two plus two?", "assistant", "Four.")},
          new Object[] {"p2", "beta",
              messages(list, "user", "Name a colour.", "assistant", "The \"colour\" of the sky:\nblue.")});
    }
    StringBuilder out = new StringBuilder("[");
    for (String failure : failures) out.append(out.length() == 1 ? "" : ",").append('"').append(failure).append('"');
    System.out.println(out.append("]"));
  }
}
