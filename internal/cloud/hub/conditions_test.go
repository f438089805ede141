package hub

import (
	"os"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	row := conditiontest.Row{Code: "device-certificate", Job: health.JobCloud, Start: replacedKey}
	conditiontest.Check(t, row, conditiontest.Success)
}

// replacedKey has a device certificate whose key was replaced by garbage. The cache of the cameras' URLs reads it
// every 5 s, as does each connection.
func replacedKey(t *testing.T) conditiontest.Case {
	dir := t.TempDir()
	cert, key := testtools.DeviceFiles(t, dir, "first")
	whole, err := os.ReadFile(key)
	must(t, err)
	files := settings.IoT{CACert: cert, Cert: cert, PrivateKey: key}
	config, err := files.TLS()
	must(t, err)
	registry := health.NewRegistry(time.Now)
	WatchCertificate(config, files, registry.Component("", health.JobCloud), zap.NewNop())
	write := func(content []byte) { must(t, os.WriteFile(key, content, 0o600)) }
	use := func() {
		_, err := config.GetClientCertificate(nil)
		must(t, err)
	}
	return conditiontest.Case{
		Health: registry, Now: time.Now, Pass: use, Raise: func() { write([]byte("half a key")); use() }, Repair: func() { write(whole) },
	}
}
