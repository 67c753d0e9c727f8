// Command ad-server answers whether an ad may stand beside an event of a chat:
//
//	GET /ad?chat_id=C&event_id=E  ->  {"serve":true,"reason":"allow"}
//
// An ad is served only on `allow` for this very event under the expected policy. While that is not known, Redis is asked
// again until the time is up; then there is no ad. Every fault means no ad, too.
//
// The type Verdict is generated from the JSON Schema by `go generate`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	oldestVersion = 1
	newestVersion = 2
	pollInterval  = 10 * time.Millisecond
)

// answer is what the caller gets. `final` answers cannot change any more for this event.
type answer struct {
	Serve  bool   `json:"serve"`
	Reason string `json:"reason"`
	final  bool
}

type server struct {
	redis     *redis.Client
	keyPrefix string
	taxonomy  string
	policy    PolicyRef
	wait      time.Duration
}

// decide asks Redis until the answer is final or the time is up.
func (s *server) decide(ctx context.Context, chatID, eventID string) answer {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	last := answer{Reason: "redis_failed"}
	for {
		value, err := s.redis.Get(ctx, s.keyPrefix+chatID).Bytes()
		if ctx.Err() != nil {
			return last
		}
		switch {
		case errors.Is(err, redis.Nil):
			last = answer{Reason: "no_verdict"}
		case err != nil:
			last = answer{Reason: "redis_failed"}
		default:
			last = s.judge(value, chatID, eventID)
		}
		if last.final {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pollInterval):
		}
	}
}

// judge says what a value means for one event. What is not plainly an `allow` for it is no ad.
func (s *server) judge(value []byte, chatID, eventID string) answer {
	var verdict Verdict
	var marker struct {
		Rejected json.RawMessage `json:"rejected"`
	}
	if json.Unmarshal(value, &marker) == nil && marker.Rejected != nil {
		return answer{Reason: "rejected"} // the chat's newest event was rejected: there is no verdict on it
	}
	if err := json.Unmarshal(value, &verdict); err != nil ||
		verdict.SchemaVersion < oldestVersion || verdict.SchemaVersion > newestVersion || verdict.ChatId != chatID {
		return answer{Reason: "malformed"}
	}
	if verdict.SchemaVersion == oldestVersion {
		verdict.Taxonomy.Name = "chat-13" // version 1 knew no other
	}
	if found, known := textOf(verdict.EventId); !known || found != eventID {
		return answer{Reason: "other_event"} // the verdict on this event is still to come, or a newer event has one
	}
	if verdict.Taxonomy.Name != s.taxonomy {
		return answer{Reason: "other_taxonomy"} // a policy of the same name may ban other things there
	}
	if verdict.Policy != s.policy {
		return answer{Reason: "other_policy"}
	}
	switch verdict.Decision {
	case DecisionAllow:
		return answer{Serve: true, Reason: "allow", final: true}
	case DecisionReview, DecisionBlock:
		return answer{Reason: string(verdict.Decision), final: true}
	}
	return answer{Reason: "malformed"}
}

// textOf returns an event_id as text: a text or an integer may be one.
func textOf(eventID any) (string, bool) {
	switch id := eventID.(type) {
	case string:
		return id, true
	case float64: // integers of 53 bits at most; longer ones are carried as text
		return strconv.FormatFloat(id, 'f', -1, 64), true
	}
	return "", false
}

func (s *server) ad(response http.ResponseWriter, request *http.Request) {
	chatID, eventID := request.FormValue("chat_id"), request.FormValue("event_id")
	if chatID == "" || eventID == "" {
		http.Error(response, "expected chat_id and event_id", http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(s.decide(request.Context(), chatID, eventID))
}

func run() error {
	redisURL := flag.String("redis", "redis://127.0.0.1:6379/0", "address of the workers' Redis")
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on; port 0 is any free port")
	keyPrefix := flag.String("key-prefix", "verdict:", "what stands before the chat_id in a key")
	taxonomy := flag.String("taxonomy", "chat-13", "name of the taxonomy that the policy is of")
	policy := flag.String("policy", "default", "name of the policy that an ad needs an allow of")
	policyVersion := flag.String("policy-version", "2", "its version")
	wait := flag.Duration("wait", 150*time.Millisecond, "how long to wait for a verdict before there is no ad")
	flag.Parse()

	options, err := redis.ParseURL(*redisURL)
	if err != nil {
		return err
	}
	options.ContextTimeoutEnabled = true // else a frozen Redis holds a request up for seconds
	options.DialTimeout = *wait
	options.MaxRetries = -1        // the loop asks again
	options.DisableIdentity = true // a user that may only GET suffices
	s := &server{redis.NewClient(options), *keyPrefix, *taxonomy,
		PolicyRef{Name: *policy, Version: *policyVersion}, *wait}

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ad", s.ad)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, func() { _ = web.Shutdown(context.Background()) })
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
