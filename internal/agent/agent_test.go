package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func TestAnUnusableStateDirectoryIsNotTakenForTheRecordings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	s := settings.Settings{RecordingDirectory: filepath.Join(dir, "recordings"), StateDirectory: filepath.Join(file, "state")}
	_, err := New(s, Options{})
	if err == nil || !strings.Contains(err.Error(), settings.EnvStateDirectory) ||
		strings.Contains(err.Error(), settings.EnvRecordingDirectory) {
		t.Errorf("it says %v", err)
	}
}

// TestAFailedRotationIsShown begins a thing, breaks its key, and has it speak to the cloud.
func TestAFailedRotationIsShown(t *testing.T) {
	h := newRig(t)
	content, err := os.ReadFile(h.Env[settings.EnvCorePrivateKey])
	must(t, err)
	key := filepath.Join(h.Dir, "hub.key")
	must(t, os.WriteFile(key, content, 0o600))
	h.Env[settings.EnvCorePrivateKey] = key
	a := h.agent()
	defer a.release()
	must(t, os.Remove(key))
	_, err = a.aws.Credentials().Retrieve(t.Context())
	must(t, err) // with the key that it had
	for _, c := range a.collector.Snapshot().Agent {
		if c.Class == health.UserError && c.Severity == health.Degraded && strings.Contains(c.Text, key+" cannot be read") {
			return
		}
	}
	t.Errorf("status does not tell that %s is gone: %+v", key, a.collector.Snapshot().Agent)
}
