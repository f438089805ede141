package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// TestAMisspeltNameIsSaidAtTheStart in the log and in status, whether the file or the unit has it.
func TestAMisspeltNameIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "agent.env")
	must(t, os.WriteFile(file, []byte("\nAWS_KVS_EDGE_UPLAOD_MODE=live\n"), 0o600))
	environment, err := settings.NewEnvSource(file, []string{"AWS_KVS_EDGE_AUDOI=off", "PATH=/bin"}).Read()
	must(t, err)
	core, logged := observer.New(zap.WarnLevel)
	part := health.NewRegistry(time.Now).Component("", health.JobSettings)
	noteMisspelt(part, zap.New(core), environment)
	conditions := part.Snapshot().Conditions
	if len(conditions) != 1 || conditions[0].Severity != health.Info {
		t.Fatalf("status has %+v", conditions)
	}
	for _, want := range []string{
		"AWS_KVS_EDGE_AUDOI (did you mean AWS_KVS_EDGE_AUDIO?)",
		"AWS_KVS_EDGE_UPLAOD_MODE (did you mean AWS_KVS_EDGE_UPLOAD_MODE?) in " + file + ", line 2, so they have no effect",
	} {
		if !strings.Contains(conditions[0].Text, want) {
			t.Errorf("status lacks %q: %s", want, conditions[0].Text)
		}
	}
	var names []string
	for _, entry := range logged.All() {
		names = append(names, entry.ContextMap()["name"].(string))
	}
	if want := []string{"AWS_KVS_EDGE_AUDOI", "AWS_KVS_EDGE_UPLAOD_MODE"}; !slices.Equal(names, want) {
		t.Errorf("the log names %q, want %q", names, want)
	}
}
