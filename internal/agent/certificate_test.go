package agent

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestARotatedCertificateIsTakenAtTheNextConnection shakes hands with a server that asks for it.
func TestARotatedCertificateIsTakenAtTheNextConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := deviceFiles(t, dir, "first")
	files := IoTSettings{CACert: cert, Cert: cert, PrivateKey: key}
	config, err := files.TLS()
	must(t, err)
	part := health.NewRegistry(time.Now).Part("", health.JobCloud)
	rotating(config, files, part, zap.NewNop())
	config.ServerName, config.InsecureSkipVerify = "server", true // the server is not what is tried here
	serverCert, serverKey := deviceFiles(t, dir, "server")
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
	nextCert, nextKey := deviceFiles(t, dir, "second")
	must(t, os.Rename(nextCert, cert))
	expect("between the two files", "first", key, cert, "do not fit", "bring both again")
	must(t, os.Rename(nextKey, key))
	expect("after the rotation", "second")
	must(t, os.Rename(key, nextKey))
	expect("without the key", "second", key+" cannot be read (no such file or directory)", "put the file there")
	must(t, os.Rename(nextKey, key))
	expect("with the key again", "second")
	must(t, os.WriteFile(cert, []byte("half a cert"), 0o600))
	expect("with a damaged certificate", "second", cert, "damaged", "bring both again")
}

// TestAFailedRotationIsShown begins a hub, breaks its key, and has it speak to the cloud.
func TestAFailedRotationIsShown(t *testing.T) {
	h := newHouse(t)
	content, err := os.ReadFile(h.env[EnvCorePrivateKey])
	must(t, err)
	key := filepath.Join(h.dir, "hub.key")
	must(t, os.WriteFile(key, content, 0o600))
	h.env[EnvCorePrivateKey] = key
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
