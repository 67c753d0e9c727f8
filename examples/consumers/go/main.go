// Command consumer reads verdicts and keeps the newest of each chat. It prints one JSON line per verdict and, on SIGTERM
// or Ctrl-C, an account. Arguments: bootstrap servers, topic (default: verdicts).
//
// The type Verdict is generated from the JSON Schema by `go generate`.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A verdict of version 1 lacks what version 2 brought: those fields are zero.
const (
	oldestVersion = 1
	newestVersion = 2
)

// reducer holds the newest verdict of each chat.
type reducer struct {
	newest map[string]Verdict
	counts map[string]int
}

// take holds the verdict unless it is older; it says whether the verdict is new, a repeat or older.
func (r *reducer) take(verdict Verdict) string {
	held, known := r.newest[verdict.ChatId]
	kind := "new"
	switch {
	case known && isOlder(verdict, held):
		kind = "older"
	case known && verdict.VerdictId == held.VerdictId:
		kind = "repeat"
	}
	r.counts[kind]++
	if kind != "older" {
		// A repeat asks for no action, but it moves the place that later verdicts are compared with.
		r.newest[verdict.ChatId] = verdict
	}
	return kind
}

// isOlder says whether a verdict is older than the one held for its chat, as schemas/README.md defines it.
func isOlder(verdict, held Verdict) bool {
	a, b := verdict.Source, held.Source
	if a.Topic != b.Topic || a.Partition != b.Partition {
		return a.TimestampMs < b.TimestampMs
	}
	if a.Offset != b.Offset {
		return a.Offset < b.Offset
	}
	// The same event: a person's decision stands above those before it.
	if verdict.OverrideRevision != held.OverrideRevision {
		return verdict.OverrideRevision < held.OverrideRevision
	}
	// Judged again: versions compare under one name only.
	if verdict.Model.Name != held.Model.Name {
		return false
	}
	if order := compareVersions(verdict.Model.Version, held.Model.Version); order != 0 {
		return order < 0
	}
	return verdict.Policy.Name == held.Policy.Name && compareVersions(verdict.Policy.Version, held.Policy.Version) < 0
}

// compareVersions compares dotted versions by their numbers: 1.10 is newer than 1.9, and 1.0 is 1.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var left, right string
		left, a, _ = strings.Cut(a, ".")
		right, b, _ = strings.Cut(b, ".")
		left, right = strings.TrimLeft(left, "0"), strings.TrimLeft(right, "0")
		// Without leading zeros the longer number is the larger one.
		if order := cmp.Or(cmp.Compare(len(left), len(right)), cmp.Compare(left, right)); order != 0 {
			return order
		}
	}
	return 0
}

// decode reads one verdict and refuses versions that this program does not know.
func decode(value []byte) (Verdict, error) {
	var verdict Verdict
	if err := json.Unmarshal(value, &verdict); err != nil {
		return verdict, err
	}
	if verdict.SchemaVersion < oldestVersion || verdict.SchemaVersion > newestVersion {
		return verdict, fmt.Errorf("found schema_version %d, expected %d to %d; generate the types from the newer schema",
			verdict.SchemaVersion, oldestVersion, newestVersion)
	}
	if verdict.SchemaVersion == oldestVersion {
		// It knew one taxonomy and no overrides.
		verdict.Taxonomy = TaxonomyRef{Name: "chat-13", Version: "1"}
	}
	return verdict, nil
}

func run(ctx context.Context, bootstrapServers, topic string) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(bootstrapServers, ",")...),
		kgo.ConsumerGroup("example-consumer-go"),
		kgo.ConsumeTopics(topic),
		// The default also returns verdicts of aborted transactions: verdicts that were never given.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// What is held lies in memory, so each start reads from the first record and nothing is committed.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	state := reducer{newest: map[string]Verdict{}, counts: map[string]int{"new": 0, "repeat": 0, "older": 0}}
	lines := json.NewEncoder(os.Stdout)
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			break
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			verdict, err := decode(record.Value)
			if err != nil {
				return err
			}
			kind := state.take(verdict)
			err = lines.Encode(map[string]any{"kind": kind, "chat_id": verdict.ChatId, "offset": verdict.Source.Offset,
				"taxonomy": verdict.Taxonomy.Name, "decision": verdict.Decision, "verdict_id": verdict.VerdictId})
			if err != nil {
				return err
			}
		}
	}
	byDecision := map[Decision]int{}
	for _, held := range state.newest {
		byDecision[held.Decision]++
	}
	nVerdicts := state.counts["new"] + state.counts["repeat"] + state.counts["older"]
	return lines.Encode(map[string]any{"n_verdicts": nVerdicts, "by_kind": state.counts,
		"n_chats": len(state.newest), "by_decision": byDecision})
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	topic := "verdicts"
	if len(os.Args) > 2 {
		topic = os.Args[2]
	}
	if len(os.Args) < 2 {
		log.Fatal(errors.New("expected arguments: bootstrap servers, topic"))
	}
	if err := run(ctx, os.Args[1], topic); err != nil {
		log.Fatal(err)
	}
}
