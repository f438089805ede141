package testtools

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Mosquitto starts an MQTT broker that nobody here wrote, on loopback, until the test ends. It speaks
// TLS with the certificate and key in these PEM files, and lets in who has a certificate of the CA.
// Lines are added to its configuration. It returns host:port. A test that needs it is skipped, or fails, as Need says.
func Mosquitto(tb testing.TB, caFile, certFile, keyFile string, lines ...string) (address string) {
	tb.Helper()
	program := "/usr/sbin/mosquitto" // where Debian puts it, which is not on every PATH
	if _, err := os.Stat(program); err != nil {
		program = "mosquitto"
	}
	Need(tb, program)
	address = HeldAddress(tb, "127.0.0.1")
	_, port, _ := net.SplitHostPort(address)
	config := filepath.Join(tb.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\ncafile %s\ncertfile %s\nkeyfile %s\n"+
		"require_certificate true\nuse_identity_as_username true\nallow_anonymous false\npersistence false\nuser root\n",
		port, caFile, certFile, keyFile)
	for _, line := range lines {
		text += line + "\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	command := exec.Command(program, "-c", config)
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	Eventually(tb, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return fmt.Errorf("mosquitto does not come up: %w", err)
		}
		return conn.Close()
	})
	return address
}
