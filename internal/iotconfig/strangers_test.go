package iotconfig

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestStrangersAreForgotten has messages name ever new streams: of those without a configuration only the last are remembered,
// while those of the hub are kept.
func TestStrangersAreForgotten(t *testing.T) {
	t.Parallel()
	registry := health.NewRegistry(time.Now)
	s := &Source{
		o:       Options{Health: registry.Part("", health.JobConfig), Log: zap.NewNop(), Now: time.Now},
		desired: newDesired(), statuses: make(map[string]syncStatus), refused: make(map[string]time.Time), outbox: newOutbox(),
	}
	s.desired.streams["ours"] = &entry{}
	s.publishStatus(syncStatus{StreamName: "ours", LastUpdatedTime: epoch{time.Unix(0, 0)}})
	const names = 3 * maxStrangers
	for i := range names {
		name := fmt.Sprintf("stranger%d", i)
		s.refused[name] = time.Now()
		s.raise(refusedScope(name), health.Degraded, health.UserFault(codeMessage, nil, "It is refused."))
		s.publishStatus(syncStatus{StreamName: name, LastUpdatedTime: epoch{time.Unix(int64(i+1), 0)}})
	}
	if len(s.statuses) > maxStrangers+2 || len(s.refused) > maxStrangers+2 {
		t.Errorf("%d statuses and %d refusals are remembered", len(s.statuses), len(s.refused))
	}
	for _, name := range []string{"ours", fmt.Sprintf("stranger%d", names-1)} {
		if _, ok := s.statuses[name]; !ok {
			t.Errorf("%s is forgotten", name)
		}
	}
	s.outbox.setOnline(true)
	for i := range 20 * maxQueued {
		s.outbox.put(publication{about: fmt.Sprint("again", i%10)})
	}
	if n := len(s.outbox.queue); n > 2*names+2*maxQueued {
		t.Errorf("%d publications wait", n)
	}
}
