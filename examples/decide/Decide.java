// Takes the decision of any policy from a verdict and the policy table, as the worker does.
//
//   java -cp 'target/dependency/*' Decide.java TABLE < VERDICTS
//
// TABLE holds the rows that `python -m model thresholds --json` prints, or those of topic `verdict-policies`; VERDICTS
// one verdict a line. Prints one JSON line for each verdict. Rows of other bundles and versions are passed over. Ends with
// an error at a verdict or a row that it does not know, and at a verdict without any row of its bundle.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

public class Decide {
    record Decided(String decision, String decidedBy) {}

    /** Evidence has six decimals: as whole numbers, sums and comparisons are exact. */
    static final long UNITS = 1_000_000;

    static long units(JsonNode number) {
        return Math.round(number.doubleValue() * UNITS);
    }

    static long score(JsonNode verdict, Set<String> codes, int decimals, boolean isHalfUp) {
        long step = Math.round(Math.pow(10, 6 - decimals));
        long half = (isHalfUp ? step : step - 1) / 2;
        long sum = 0;
        for (String code : codes) {
            sum += (units(verdict.required("evidence").required(code)) + half) / step * step;
        }
        return Math.min(UNITS, sum);
    }

    /** What the score alone gives: of a policy, or of the floor. */
    static String byScore(JsonNode verdict, JsonNode thresholds, Set<String> counted, Set<String> must, int decimals) {
        boolean isBelow = score(verdict, counted, decimals, true) < units(thresholds.required("allow_below"));
        if (isBelow && !counted.contains(verdict.required("category").required("code").textValue())) {
            return "allow";
        }
        boolean isReached = score(verdict, must, decimals, false) >= units(thresholds.required("block_from"));
        return isReached ? "block" : "review";
    }

    /** The best decision that is left where something of the chat was not evaluated. */
    static String atBest(JsonNode verdict, JsonNode row) {
        String best = "allow";
        for (String reason : texts(verdict.required("unevaluated"))) {
            String field = reason.equals("language") ? "uncalibrated_languages" : "unevaluated";
            String wanted = row.required(field).textValue();
            if (wanted.equals("block")) {
                return "block";
            }
            if (wanted.equals("review")) {
                best = "review";
            }
        }
        return best;
    }

    static boolean exceedsLimits(JsonNode verdict, JsonNode row) {
        JsonNode languages = row.required("languages");
        JsonNode language = verdict.required("language");
        if (!languages.isNull() && !language.isNull() && !texts(languages).contains(language.textValue())) {
            return true;
        }
        JsonNode most = row.required("max_message_characters");
        return !most.isNull() && verdict.path("longest_message").asLong(Long.MAX_VALUE) > most.longValue();
    }

    /** What the policy itself says, and what that rests on. */
    static Decided own(JsonNode verdict, JsonNode row) {
        Set<String> must = texts(row.required("must"));
        Set<String> counted = new LinkedHashSet<>(must);
        counted.addAll(texts(row.required("should")));
        String decision = byScore(verdict, row, counted, must, row.required("evidence_decimals").intValue());
        String left = counted.isEmpty() ? "allow" : atBest(verdict, row);
        if (left.equals("block") && !decision.equals("block") || left.equals("review") && decision.equals("allow")) {
            return new Decided(left, "unevaluated");
        }
        String by = row.required("requested_by").isNull() ? "model" : "advertiser";
        if (decision.equals("allow") && exceedsLimits(verdict, row)) {
            return new Decided("review", by);
        }
        if (counted.isEmpty()) {
            return new Decided("allow", "nothing_banned");
        }
        return new Decided(decision, row.required("calibrated").booleanValue() ? by : "unevaluated");
    }

    /** A policy's decision on a verdict, and what it rests on; the first that speaks counts. */
    static Decided decide(JsonNode verdict, JsonNode row) {
        if (verdict.required("schema_version").intValue() != 2 || row.required("schema_version").intValue() != 1) {
            throw new IllegalArgumentException("schema_version is " + verdict.get("schema_version") + " and "
                    + row.get("schema_version") + "; expected 2 and 1");
        }
        if (!verdict.required("model").required("digest").equals(row.required("model").required("digest"))) {
            throw new IllegalArgumentException("the verdict is of bundle " + verdict.get("model").get("digest")
                    + ", the row of " + row.get("model").get("digest"));
        }
        JsonNode floorRow = row.required("floor");
        String floor = "allow";
        if (!floorRow.isNull()) {
            Set<String> codes = texts(floorRow.required("codes"));
            floor = byScore(verdict, floorRow, codes, codes, row.required("evidence_decimals").intValue());
        }
        if (floor.equals("block")) {
            return new Decided("block", "floor");
        }
        // All times have six decimals and are UTC, so they compare as texts.
        String now = verdict.required("decided_at").textValue();
        JsonNode start = row.required("valid_from");
        JsonNode end = row.required("valid_until");
        if (!start.isNull() && now.compareTo(start.textValue()) < 0
                || !end.isNull() && now.compareTo(end.textValue()) >= 0) {
            return new Decided("block", "advertiser");
        }
        // What no row tells is in the verdict: lists, people, earlier decisions.
        boolean isDenied = false;
        boolean isBlockedByPerson = false;
        for (JsonNode one : verdict.required("decisions")) {
            isDenied |= isBy(one, "deny_list");
            isBlockedByPerson |= isBy(one, "override") && one.required("decision").textValue().equals("block");
        }
        if (isDenied) {
            return new Decided("block", "deny_list");
        }
        JsonNode said = verdict.required("decisions").path(row.required("policy").required("name").textValue());
        if (isBy(said, "override")) {
            return new Decided(said.required("decision").textValue(), "override");
        }
        Decided own = own(verdict, row);
        if (!own.decision().equals("allow")) {
            return own;
        }
        if (floor.equals("review")) {
            return new Decided("review", "floor");
        }
        if (isBy(said, "hold")) {
            return new Decided("review", "hold");
        }
        // A policy that the worker does not have: whose block this is, and whether it was meant for all, is not known.
        return said.isMissingNode() && isBlockedByPerson ? new Decided("review", "override") : own;
    }

    static boolean isBy(JsonNode said, String decidedBy) {
        return decidedBy.equals(said.path("decided_by").textValue());
    }

    static Set<String> texts(JsonNode array) {
        Set<String> texts = new LinkedHashSet<>();
        array.forEach(one -> texts.add(one.textValue()));
        return texts;
    }

    /**
     * One row for each policy: of the verdict's bundle and the version that decided. Where a policy did not decide, or its
     * version has no row, the last row of its name counts.
     */
    static Collection<JsonNode> rowsFor(JsonNode verdict, List<JsonNode> table) {
        JsonNode digest = verdict.required("model").required("digest");
        Map<String, JsonNode> found = new LinkedHashMap<>();
        for (JsonNode row : table) {
            if (!row.required("model").required("digest").equals(digest)) {
                continue;
            }
            JsonNode policy = row.required("policy");
            String name = policy.required("name").textValue();
            JsonNode said = verdict.required("decisions").get(name);
            JsonNode version = (said == null ? policy : said).required("version");
            JsonNode held = found.get(name);
            if (held == null || !held.required("policy").required("version").equals(version)) {
                found.put(name, row);
            }
        }
        if (found.isEmpty()) {
            throw new IllegalArgumentException(
                    "the table has no row of bundle " + digest + "; expected those of each bundle in use");
        }
        return found.values();
    }

    public static void main(String[] arguments) throws IOException {
        ObjectMapper json = new ObjectMapper();
        List<JsonNode> table = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            if (!line.isBlank()) {
                table.add(json.readTree(line));
            }
        }
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        BufferedReader verdicts = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = verdicts.readLine(); line != null; line = verdicts.readLine()) {
            JsonNode verdict = json.readTree(line);
            ObjectNode answer = json.createObjectNode();
            answer.set("verdict_id", verdict.required("verdict_id"));
            ObjectNode decisions = answer.putObject("decisions");
            for (JsonNode row : rowsFor(verdict, table)) {
                Decided decided = decide(verdict, row);
                String name = row.required("policy").required("name").textValue();
                decisions.putArray(name).add(decided.decision()).add(decided.decidedBy());
            }
            out.print(answer + "\n");
        }
        out.flush();
    }
}
