package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deviceFiles writes a self-signed certificate and its key.
func deviceFiles(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func goodEnvironment(t *testing.T) map[string]string {
	t.Helper()
	cert, key := deviceFiles(t, t.TempDir(), "hub")
	return map[string]string{
		EnvRegion: "us-west-2", EnvCACert: cert, EnvCoreCert: cert, EnvCorePrivateKey: key,
		EnvCredentialEndpoint: "c3.credentials.iot.us-west-2.amazonaws.com", EnvDataEndpoint: "a3-ats.iot.us-west-2.amazonaws.com:8883",
		EnvRoleAlias: "KvsEdgeAlias", EnvThingName: "hub-1",
		"GST_PLUGIN_PATH": "/opt/gst", "LD_LIBRARY_PATH": "/opt/lib", // of AWS's agent: accepted, ignored
	}
}

func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestDefaultsAreThoseOfAWSsAgent(t *testing.T) {
	t.Parallel()
	s, err := SettingsFromEnv(lookupIn(goodEnvironment(t)))
	if err != nil {
		t.Fatal(err)
	}
	if s.RecordingDirectory != "." || s.Log != (LogSettings{Level: "INFO", Directory: "./log", MaxFileSizeMB: 20, RolloverCount: 10}) || s.CloudWatch {
		t.Errorf("got %+v", s)
	}
	if s.SegmentDuration != 5*time.Minute || s.FlushInterval != 2*time.Second || s.MinFreeDisk.Of(4e9) != 200e6 {
		t.Errorf("segments of %v, synced every %v, reserve %v", s.SegmentDuration, s.FlushInterval, s.MinFreeDisk)
	}
	if _, err := s.IoT.TLS(); err != nil {
		t.Error(err)
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := SettingsFromEnv(lookupIn(nil))
	var wrong *SettingsError
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v", err)
	}
	for _, name := range []string{EnvRegion, EnvCACert, EnvCoreCert, EnvCorePrivateKey, EnvCredentialEndpoint, EnvDataEndpoint, EnvRoleAlias, EnvThingName} {
		if !strings.Contains(err.Error(), name+" is not set") {
			t.Errorf("%s is missing in: %v", name, err)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	good := goodEnvironment(t)
	_, otherKey := deviceFiles(t, t.TempDir(), "other")
	notPEM := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(notPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, variable, value, want string }{
		{"region", EnvRegion, "Oregon", "a region such as us-west-2"},
		{"endpoint with scheme", EnvDataEndpoint, "https://a3-ats.iot.us-west-2.amazonaws.com", "without https://"},
		{"endpoint with path", EnvCredentialEndpoint, "c3.example/role-aliases", "without a path"},
		{"thing", EnvThingName, "my hub", "a thing name"},
		{"role alias", EnvRoleAlias, "a b", "a role alias"},
		{"account", EnvAccountID, "12345", "12 digits"},
		{"log level", EnvLogLevel, "LOUD", "OFF, ALL, FATAL"},
		{"log size", EnvLogMaxFileSize, "20MB", "whole number"},
		{"log size below zero", EnvLogMaxFileSize, "-1", "from 0 to"},
		{"rollover", EnvLogRolloverCount, "-1", "from 0 to"},
		{"cloud watch", EnvCloudWatchEnabled, "yes", "TRUE or FALSE"},
		{"transport", EnvRTSPTransport, "multicast", "auto, tcp, udp"},
		{"audio", EnvAudio, "TRUE", "auto, on, off"},
		{"cameras' CA", EnvRTSPSCACert, notPEM, "no PEM certificate"},
		{"cameras' CA missing", EnvRTSPSCACert, "/nowhere/ca.pem", "no such file"},
		{"CA bundle", EnvCABundle, notPEM, "no PEM certificate"},
		{"CA bundle missing", EnvCABundle, "/nowhere/ca.pem", "no such file"},
		{"endpoint of the SDK", "AWS_ENDPOINT_URL", "localhost:4566", "a URL such as https://"},
		{"endpoint of a service", "AWS_ENDPOINT_URL_STS", "no url", "a URL such as https://"},
		{"time zone", "TZ", "Mars/Base", "a time zone such as Europe/Berlin"},
		{"segment duration", EnvSegmentDuration, "5", "such as 5m"},
		{"segment too long", EnvSegmentDuration, "2h", "from 1s to 1h0m0s"},
		{"missing file", EnvCoreCert, "/nowhere/cert.pem", "no such file"},
		{"CA without certificate", EnvCACert, notPEM, "no PEM certificate"},
		{"key of another certificate", EnvCorePrivateKey, otherKey, "private key does not match public key"},
		{"empty counts as not set", EnvThingName, "  ", "is not set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(good)
			env[tc.variable] = tc.value
			_, err := SettingsFromEnv(lookupIn(env))
			var wrong *SettingsError
			if !errors.As(err, &wrong) || len(wrong.Faults) != 1 {
				t.Fatalf("want one fault, got %v", err)
			}
			if !strings.Contains(wrong.Faults[0], tc.variable) || !strings.Contains(wrong.Faults[0], tc.want) {
				t.Errorf("got %q, want it to name %s and say %q", wrong.Faults[0], tc.variable, tc.want)
			}
		})
	}
}

func TestAnUnusableStateDirectoryIsNotTakenForTheRecordings(t *testing.T) {
	t.Parallel()
	env, dir := goodEnvironment(t), t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env[EnvRecordingDirectory], env[EnvStateDirectory] = filepath.Join(dir, "recordings"), filepath.Join(file, "state")
	settings, err := SettingsFromEnv(lookupIn(env))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(settings, Options{}); err == nil || !strings.Contains(err.Error(), EnvStateDirectory) || strings.Contains(err.Error(), EnvRecordingDirectory) {
		t.Errorf("it says %v", err)
	}
}

// The group may read logs: docs/security.md.
func TestTheAgentsGroupReadsAllLogFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := OpenLogFile(LogSettings{Level: "INFO", Directory: dir, MaxFileSizeMB: 1, RolloverCount: 3})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := file.Write(make([]byte, 600_000)); err != nil {
			t.Fatal(err)
		}
	}
	_ = file.Close()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
}

func TestLogLevelsOfAWSsAgent(t *testing.T) {
	t.Parallel()
	for _, name := range logLevels {
		dir := t.TempDir()
		file, err := OpenLogFile(LogSettings{Level: name, Directory: dir, MaxFileSizeMB: 1, RolloverCount: 1})
		if err != nil {
			t.Fatal(err)
		}
		log := NewLogger(file, NewLogLevel(name))
		log.Error("an error")
		log.Debug("a detail")
		_ = file.Close()
		text, _ := os.ReadFile(filepath.Join(dir, logFileName))
		for line, levels := range map[string]string{"an error": "ALL ERROR WARN INFO DEBUG TRACE", "a detail": "ALL DEBUG TRACE"} {
			want := strings.Contains(" "+levels+" ", " "+name+" ")
			if got := strings.Contains(string(text), line); got != want {
				t.Errorf("level %s: %q logged %v, want %v", name, line, got, want)
			}
		}
	}
}
