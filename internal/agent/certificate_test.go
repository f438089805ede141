package agent

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
)

// TestARotatedCertificateIsTakenAtTheNextConnection shakes hands with a server that asks for it.
func TestARotatedCertificateIsTakenAtTheNextConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := deviceFiles(t, dir, "first")
	files := IoTSettings{CACert: cert, Cert: cert, PrivateKey: key}
	config, err := files.TLS()
	must(t, err)
	rotating(config, files, zap.NewNop())
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
	expect := func(when, want string) {
		t.Helper()
		if got := presented(); got != want {
			t.Errorf("%s it presents the certificate of %s, want %s", when, got, want)
		}
	}
	expect("at first", "first")
	nextCert, nextKey := deviceFiles(t, dir, "second")
	must(t, os.Rename(nextCert, cert))
	expect("between the two files", "first")
	must(t, os.Rename(nextKey, key))
	expect("after the rotation", "second")
	must(t, os.Remove(key))
	must(t, os.WriteFile(filepath.Join(dir, "first.pem"), []byte("half a cert"), 0o600))
	expect("with damaged files", "second")
}
