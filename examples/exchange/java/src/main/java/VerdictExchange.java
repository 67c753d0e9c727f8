import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import verdictstream.PolicyDecision;
import verdictstream.TaxonomyRef;
import verdictstream.Verdict;

/**
 * Turns verdicts into what the ad exchange is told: OpenRTB 2.6, Prebid's first-party data or key-values. Arguments:
 * FORM TAXONOMY SEGTAX [POLICY]; verdicts on standard input, one line out for each line in.
 *
 * <p>FORM is openrtb, prebid or key-values. TAXONOMY is the output of `python -m schemas taxonomy show NAME --json`.
 * SEGTAX is the number that is registered for the segments. `bid` is false where no bid request is sent. The class
 * Verdict is generated from the JSON Schema by `mvn compile`.
 */
public final class VerdictExchange {
    private static final int CATTAX = 7;
    private static final String PROVIDER = "verdictstream";
    private static final String ID_KEY = "verdictstream";
    private static final Set<String> SPECIAL = Set.of("186", "187", "286", "301", "383", "453");
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
    private static final ObjectMapper JSON =
            // A newer worker may add fields; that must not stop a reader.
            new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    /** What is said of a chat; null or empty where it is not known. */
    private record Signal(
            String decision, String risk, String id, String policy, String category, String categoryName,
            List<String> iab, String taxonomy, String model, String language, String eventTime, String verdictId,
            List<String> unevaluated) {
        static Signal of(String decision, String id) {
            return new Signal(
                    decision, "unknown", id, null, null, null, List.of(), null, null, null, null, null, List.of());
        }

        /** Whether an id is special category data, which is never sent with a user's id. */
        boolean isSensitive() {
            return iab.stream().anyMatch(SPECIAL::contains);
        }

        /** A browser and an ad server add user ids by themselves. */
        Signal forBrowsers() {
            return !isSensitive() ? this : new Signal(decision, risk, id, policy, null, null, List.of(), taxonomy,
                    model, language, eventTime, verdictId, unevaluated);
        }
    }

    private final JsonNode taxonomy;
    private final int segtax;
    private final String policy;

    private VerdictExchange(JsonNode taxonomy, int segtax, String policy) {
        this.taxonomy = taxonomy;
        this.segtax = segtax;
        this.policy = policy;
    }

    public static void main(String[] arguments) throws Exception {
        var exchange = new VerdictExchange(
                JSON.readTree(new File(arguments[1])),
                Integer.parseInt(arguments[2]),
                arguments.length > 3 ? arguments[3] : null);
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Signal signal = exchange.signalOf(JSON.readTree(line));
            ObjectNode shown = JSON.createObjectNode()
                    .put("id", signal.id())
                    .put("decision", signal.decision())
                    .put("bid", !signal.decision().equals("block"));
            shown.set("document", exchange.document(signal, arguments[0]));
            // As bytes: System.out would replace what the locale's encoding lacks.
            System.out.write(JSON.writeValueAsBytes(shown));
            System.out.println();
        }
        System.out.flush();
    }

    /** Says of a chat what its newest verdict or marker says, or null where there is neither. */
    private Signal signalOf(JsonNode outcome) throws Exception {
        if (outcome.isNull()) {
            return Signal.of("unknown", null);
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(ID_KEY.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        byte[] digest = mac.doFinal(outcome.get("chat_id").asText().getBytes(StandardCharsets.UTF_8));
        String id = HexFormat.of().formatHex(digest).substring(0, 32);
        if (outcome.has("rejected")) {
            return Signal.of("unknown", id);
        }
        Verdict verdict = JSON.treeToValue(outcome, Verdict.class);
        Integer version = verdict.getSchemaVersion();
        if (version == null || version < 1 || version > 2) {
            throw new IllegalArgumentException("found schema_version " + version + ", expected 1 or 2");
        }
        String ofDefault = verdict.getPolicy().getName();
        String name = policy == null ? ofDefault : policy;
        PolicyDecision decided = decision(verdict, version, name);
        if (decided == null) {
            return Signal.of("unknown", id);
        }
        String decision = decided.getDecision().value();
        if (decision.equals("block")) {
            return Signal.of("block", id);
        }
        boolean isHeldBack = decision.equals("review")
                && decided.getDecidedBy() != null
                && decided.getDecidedBy().value().equals("unevaluated");
        List<String> unevaluated = verdict.getUnevaluated() == null ? List.of() : verdict.getUnevaluated();
        TaxonomyRef of = verdict.getTaxonomy();
        // Version 1 knew one taxonomy.
        String taxonomyName = version == 1 ? "chat-13" : of.getName();
        String taxonomyVersion = version == 1 ? "1" : of.getVersion();
        String code = verdict.getCategory().getCode();
        boolean isRiskKnown = name.equals(ofDefault) && unevaluated.isEmpty();
        return new Signal(
                isHeldBack ? "unevaluated" : decision,
                isRiskKnown ? band(verdict.getBannedToSafeRisk()) : "unknown",
                id,
                name + "@" + decided.getVersion(),
                code,
                verdict.getCategory().getName(),
                iabContent(taxonomyName, taxonomyVersion, code),
                taxonomyName + "@" + taxonomyVersion,
                verdict.getModel().getName() + "@" + verdict.getModel().getVersion(),
                verdict.getLanguage(),
                eventTime(verdict.getSource().getTimestampMs()),
                verdict.getVerdictId(),
                unevaluated);
    }

    /** Returns what a policy says; null where the verdict has no decision under it. */
    private static PolicyDecision decision(Verdict verdict, int version, String name) {
        if (version == 2) {
            return verdict.getDecisions().getAdditionalProperties().get(name);
        }
        if (!verdict.getPolicy().getName().equals(name)) {
            return null;
        }
        var decided = new PolicyDecision();
        decided.setVersion(verdict.getPolicy().getVersion());
        decided.setDecision(verdict.getDecision());
        return decided;
    }

    private static String band(double risk) {
        return risk <= 0.01 ? "very_low" : risk <= 0.05 ? "low" : risk <= 0.20 ? "medium" : "high";
    }

    /** Returns a record's time; null for one that can be no time in milliseconds. */
    private static String eventTime(long timestampMs) {
        boolean isTime = timestampMs >= 1_293_840_000_000L && timestampMs < 4_102_444_800_000L;
        return isTime ? TIME.format(Instant.ofEpochMilli(timestampMs)) : null;
    }

    private List<String> iabContent(String name, String version, String code) {
        if (taxonomy.get("name").asText().equals(name) && taxonomy.get("version").asText().equals(version)) {
            for (JsonNode category : taxonomy.get("categories")) {
                if (category.get("code").asText().equals(code)) {
                    return JSON.convertValue(category.get("iab_content"),
                            JSON.getTypeFactory().constructCollectionType(List.class, String.class));
                }
            }
        }
        return List.of();
    }

    /** Returns a signal in a form; null where no bid request is sent. */
    private ObjectNode document(Signal signal, String form) {
        Signal forBrowsers = signal.forBrowsers();
        if (form.equals("key-values")) {
            return keyValues(forBrowsers);
        }
        if (signal.decision().equals("block")) {
            return null;
        }
        ObjectNode root = JSON.createObjectNode();
        if (form.equals("prebid")) {
            ObjectNode site = categories(root.putObject("ortb2").putObject("site"), forBrowsers);
            data(identity(site.putObject("content"), signal), forBrowsers);
            site.putObject("ext").set("data", keyValues(forBrowsers));
            return root;
        }
        ObjectNode content = categories(root.putObject("site"), signal).putObject("content");
        identity(content, signal).put("context", 4).put("cattax", CATTAX);
        texts(content.putArray("cat"), signal.iab()).add("1012");
        data(content, signal);
        extension(content.putObject("ext").putObject("verdictstream"), signal);
        return root;
    }

    private static void extension(ObjectNode said, Signal signal) {
        said.put("decision", signal.decision()).put("risk", signal.risk());
        var known = new String[][] {
            {"policy", signal.policy()}, {"taxonomy", signal.taxonomy()}, {"model", signal.model()},
            {"event_time", signal.eventTime()}, {"verdict_id", signal.verdictId()}
        };
        for (String[] field : known) {
            if (field[1] != null) {
                said.put(field[0], field[1]);
            }
        }
        if (!signal.unevaluated().isEmpty()) {
            texts(said.putArray("unevaluated"), signal.unevaluated());
        }
        if (signal.isSensitive()) {
            said.put("sensitive", true);
        }
    }

    /** Returns an ad server's key-values: keys of at most 20 characters, values of at most 40. */
    private static ObjectNode keyValues(Signal signal) {
        ObjectNode values = JSON.createObjectNode().put("vs_decision", signal.decision());
        if (!Set.of("block", "unknown").contains(signal.decision())) {
            values.put("vs_risk", signal.risk());
            if (signal.category() != null && signal.category().length() <= 40) {
                values.put("vs_category", signal.category());
            }
        }
        return values;
    }

    /** Adds what a site has of them: ids of Content Taxonomy 3.0, by its number. */
    private static ObjectNode categories(ObjectNode site, Signal signal) {
        site.put("cattax", CATTAX);
        if (!signal.iab().isEmpty()) {
            texts(site.putArray("cat"), signal.iab());
            texts(site.putArray("pagecat"), signal.iab());
        }
        return site;
    }

    /** Adds id and language; `language` takes two letters, `langb` any tag. */
    private static ObjectNode identity(ObjectNode content, Signal signal) {
        if (signal.id() != null) {
            content.put("id", signal.id());
        }
        if (signal.language() != null) {
            content.put(signal.language().length() == 2 ? "language" : "langb", signal.language());
        }
        return content;
    }

    /** Adds the segments under the registered number. */
    private void data(ObjectNode content, Signal signal) {
        ObjectNode data = content.putArray("data").addObject().put("name", PROVIDER);
        ArrayNode segments = data.putArray("segment");
        if (signal.category() != null) {
            segments.addObject().put("id", signal.category()).put("name", signal.categoryName());
        }
        segments.addObject().put("id", "decision:" + signal.decision());
        segments.addObject().put("id", "risk:" + signal.risk());
        data.putObject("ext").put("segtax", segtax);
    }

    private static ArrayNode texts(ArrayNode array, List<String> texts) {
        texts.forEach(array::add);
        return array;
    }
}
