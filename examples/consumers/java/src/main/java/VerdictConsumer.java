import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigInteger;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import verdictstream.Source;
import verdictstream.TaxonomyRef;
import verdictstream.Verdict;

/**
 * Reads verdicts and keeps the newest of each chat. Prints one JSON line per verdict and, on SIGTERM or Ctrl-C, an
 * account. Arguments: bootstrap servers, topic (default: verdicts).
 *
 * <p>The class Verdict is generated from the JSON Schema by `mvn compile`.
 */
public final class VerdictConsumer {
    private static final Set<Integer> SCHEMA_VERSIONS = new TreeSet<>(Set.of(1, 2));
    private static final TaxonomyRef CHAT_13 = new TaxonomyRef();

    static {
        CHAT_13.setName("chat-13");
        CHAT_13.setVersion("1");
    }

    private final ObjectMapper json =
            // A newer worker may add fields; that must not stop a reader.
            new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    private final Map<String, Verdict> newest = new HashMap<>();
    private final Map<String, Integer> counts = new TreeMap<>(Map.of("new", 0, "repeat", 0, "older", 0));

    public static void main(String[] arguments) throws IOException {
        new VerdictConsumer().run(arguments[0], arguments.length > 1 ? arguments[1] : "verdicts");
    }

    private void run(String bootstrapServers, String topic) throws IOException {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrapServers,
                "group.id", "example-consumer-java",
                // Java's default also returns verdicts of aborted transactions: verdicts that were never given.
                "isolation.level", "read_committed",
                // What is held lies in memory, so each start reads from the first record and nothing is committed.
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false);
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            stopOnSignal(consumer);
            consumer.subscribe(List.of(topic));
            while (true) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    take(record.value());
                }
            }
        } catch (WakeupException stopped) {
            printAccount();
        }
    }

    private void take(byte[] value) throws IOException {
        Verdict verdict = json.readValue(value, Verdict.class);
        if (verdict.getSchemaVersion() == null || !SCHEMA_VERSIONS.contains(verdict.getSchemaVersion())) {
            throw new IOException("found schema_version " + verdict.getSchemaVersion() + ", expected one of "
                    + SCHEMA_VERSIONS + "; generate the types again from the newer schema");
        }
        if (verdict.getSchemaVersion() == 1) {
            // It knew one taxonomy and no overrides.
            verdict.setTaxonomy(CHAT_13);
            verdict.setOverrideRevision(0L);
        }
        Verdict held = newest.get(verdict.getChatId());
        String kind = "new";
        if (held != null && isOlder(verdict, held)) {
            kind = "older";
        } else if (held != null && verdict.getVerdictId().equals(held.getVerdictId())) {
            kind = "repeat";
        }
        counts.merge(kind, 1, Integer::sum);
        if (!kind.equals("older")) {
            // A repeat asks for no action, but it moves the place that later verdicts are compared with.
            newest.put(verdict.getChatId(), verdict);
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("kind", kind);
        line.put("chat_id", verdict.getChatId());
        line.put("offset", verdict.getSource().getOffset());
        line.put("taxonomy", verdict.getTaxonomy().getName());
        line.put("decision", verdict.getDecision());
        line.put("verdict_id", verdict.getVerdictId());
        print(line);
    }

    /** Says whether a verdict is older than the one held for its chat, as schemas/README.md defines it. */
    private static boolean isOlder(Verdict verdict, Verdict held) {
        Source a = verdict.getSource();
        Source b = held.getSource();
        if (!a.getTopic().equals(b.getTopic()) || !a.getPartition().equals(b.getPartition())) {
            return a.getTimestampMs() < b.getTimestampMs();
        }
        if (!a.getOffset().equals(b.getOffset())) {
            return a.getOffset() < b.getOffset();
        }
        // The same event: a person's decision stands above those before it.
        if (!verdict.getOverrideRevision().equals(held.getOverrideRevision())) {
            return verdict.getOverrideRevision() < held.getOverrideRevision();
        }
        // Judged again: versions compare under one name only.
        if (!verdict.getModel().getName().equals(held.getModel().getName())) {
            return false;
        }
        int order = compareVersions(verdict.getModel().getVersion(), held.getModel().getVersion());
        if (order != 0) {
            return order < 0;
        }
        return verdict.getPolicy().getName().equals(held.getPolicy().getName())
                && compareVersions(verdict.getPolicy().getVersion(), held.getPolicy().getVersion()) < 0;
    }

    /** Compares dotted versions by their numbers: 1.10 is newer than 1.9, and 1.0 is 1. */
    private static int compareVersions(String a, String b) {
        String[] left = a.split("\\.");
        String[] right = b.split("\\.");
        for (int i = 0; i < Math.max(left.length, right.length); i++) {
            BigInteger x = i < left.length ? new BigInteger(left[i]) : BigInteger.ZERO;
            BigInteger y = i < right.length ? new BigInteger(right[i]) : BigInteger.ZERO;
            if (!x.equals(y)) {
                return x.compareTo(y);
            }
        }
        return 0;
    }

    private void printAccount() throws IOException {
        Map<String, Integer> byDecision = new TreeMap<>();
        newest.values().forEach(held -> byDecision.merge(held.getDecision().value(), 1, Integer::sum));
        Map<String, Object> account = new LinkedHashMap<>();
        account.put("n_verdicts", counts.values().stream().mapToInt(Integer::intValue).sum());
        account.put("by_kind", counts);
        account.put("n_chats", newest.size());
        account.put("by_decision", byDecision);
        print(account);
    }

    private void print(Object line) throws IOException {
        // As bytes: System.out would replace what the locale's encoding lacks.
        System.out.write(json.writeValueAsBytes(line));
        System.out.println();
        System.out.flush();
    }

    private static void stopOnSignal(KafkaConsumer<?, ?> consumer) {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }));
    }
}
