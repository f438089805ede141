package hub

import (
	"crypto/tls"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestARotatedCertificateIsTakenAtTheNextConnection shakes hands with a server that asks for it.
func TestARotatedCertificateIsTakenAtTheNextConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := testtools.DeviceFiles(t, dir, "first")
	files := settings.IoT{CACert: cert, Cert: cert, PrivateKey: key}
	config, err := files.TLS()
	must(t, err)
	part := health.NewRegistry(time.Now).Component("", health.JobCloud)
	WatchCertificate(config, files, part, zap.NewNop())
	config.ServerName, config.InsecureSkipVerify = "server", true // the server is not what is tried here
	serverCert, serverKey := testtools.DeviceFiles(t, dir, "server")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	must(t, err)

	presented := func() string {
		t.Helper()
		here, there := net.Pipe()
		defer func() { _, _ = here.Close(), there.Close() }()
		server := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
		done := make(chan error, 1)
		go func() { done <- server.Handshake() }()
		client := tls.Client(here, config.Clone())
		must(t, client.Handshake())
		go func() { _, _ = client.Read(make([]byte, 1)) }() // the server's tickets come after the handshake
		must(t, <-done)
		return server.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	// expect wants the condition to hold each of the parts of its sentence; without any, none is wanted.
	expect := func(when, want string, says ...string) {
		t.Helper()
		if got := presented(); got != want {
			t.Errorf("%s it presents the certificate of %s, want %s", when, got, want)
		}
		conditions := part.Snapshot().Conditions
		if len(says) == 0 && len(conditions) == 0 {
			return
		}
		if len(says) == 0 || len(conditions) != 1 {
			t.Fatalf("%s status shows %v", when, conditions)
		}
		c := conditions[0]
		if c.Code != codeCertificate || c.Class != health.UserError || c.Severity != health.Degraded {
			t.Errorf("%s status shows %+v", when, c)
		}
		for _, part := range says {
			if !strings.Contains(c.Text, part) {
				t.Errorf("%s status says %q, without %q", when, c.Text, part)
			}
		}
	}
	expect("at first", "first")
	nextCert, nextKey := testtools.DeviceFiles(t, dir, "second")
	must(t, os.Rename(nextCert, cert))
	expect("between the two files", "first", key, cert, "do not match", "copy both again")
	must(t, os.Rename(nextKey, key))
	expect("after the rotation", "second")
	must(t, os.Rename(key, nextKey))
	expect("without the key", "second", key+" cannot be read (no such file or directory)", "put the file there")
	must(t, os.Rename(nextKey, key))
	expect("with the key again", "second")
	must(t, os.WriteFile(cert, []byte("half a cert"), 0o600))
	expect("with a damaged certificate", "second", cert, "damaged", "copy both again")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
