package kvsconfig

import (
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestStrangersAreForgotten has messages name ever new streams: of those without a configuration only the last are remembered,
// while those of the hub are kept.
func TestStrangersAreForgotten(t *testing.T) {
	t.Parallel()
	s, err := New(Options{ThingName: "hub-1", KVS: noControlPlane{}, Applier: noApplier{}, Dir: testDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.versions.streams["ours"] = &entry{}
	s.publishStatus(SyncStatus{StreamName: "ours", LastUpdated: time.Unix(0, 0)})
	const names = 3 * maxStrangers
	for i := range names {
		name := fmt.Sprintf("stranger%d", i)
		s.conditions.refuse(name, time.Now(), health.UserFault(codeMessage, nil, "It is refused."))
		s.publishStatus(SyncStatus{StreamName: name, LastUpdated: time.Unix(int64(i+1), 0)})
	}
	if len(s.statuses.last) > maxStrangers+2 || len(s.conditions.refused) > maxStrangers+2 {
		t.Errorf("%d statuses and %d refusals are remembered", len(s.statuses.last), len(s.conditions.refused))
	}
	for _, name := range []string{"ours", fmt.Sprintf("stranger%d", names-1)} {
		if _, ok := s.statuses.last[name]; !ok {
			t.Errorf("%s is forgotten", name)
		}
	}
}
