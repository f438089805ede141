package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// invocation is one run of the program, without an agent.
type invocation struct {
	dir, stdin string
	env, args  []string
}

// run runs the program and returns what it wrote and its exit code.
func (i invocation) run(t *testing.T) (stdout, stderr string, code int) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, i.args...)
	cmd.Dir = i.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + i.dir}, i.env...)
	cmd.Stdin = strings.NewReader(i.stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// runFor is run with --duration, for some seconds and in a directory of its own below the invocation's. As that counts from the
// start of the program, a busy machine gets more, until done accepts the result.
func (i invocation) runFor(t *testing.T, seconds int,
	done func(dir, stdout string, code int) bool) (dir, stdout, stderr string, code int) {
	t.Helper()
	below, args := i.dir, i.args
	for last := 20 * seconds; ; seconds *= 2 {
		i.dir = filepath.Join(below, strconv.Itoa(seconds))
		if err := os.MkdirAll(i.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		i.args = append(slices.Clone(args), "--duration", fmt.Sprintf("%ds", seconds))
		stdout, stderr, code = i.run(t)
		if done(i.dir, stdout, code) || seconds > last {
			return i.dir, stdout, stderr, code
		}
	}
}

// says is enough where a program has said something.
func says(text string) func(string, string, int) bool {
	return func(_, stdout string, _ int) bool { return strings.Contains(stdout, text) }
}

// recordedIt says that a run was long enough to record something: one that fails for another reason is not run again.
func recordedIt(_, stdout string, code int) bool {
	return code == 0 || !strings.Contains(stdout, "0 frames in 0 segments")
}

// TestRecordTakesPasswordsAsTheSecretDoes passes URLs on the standard input, which no list of processes shows.
func TestRecordTakesPasswordsAsTheSecretDoes(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"p@ss:word/1@", "pass%word", "plain"} {
		t.Run(password, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{User: "demo", Pass: password})
			u, err := url.Parse(camera.URL())
			if err != nil {
				t.Fatal(err)
			}
			_, stdout, stderr, code := invocation{
				dir: t.TempDir(), stdin: "# the door\n\nrtsp://demo:" + password + "@" + u.Host + u.Path + "\n",
				args: []string{"record", "--url-file", "-"},
			}.runFor(t, 3, recordedIt)
			if code != 0 || !strings.Contains(stdout, ": recording\n") || !strings.Contains(stdout, "in 1 segment, ") ||
				strings.Contains(stdout+stderr, password) {
				t.Errorf("it ends with %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// TestWrongPortsAndSchemesAreSaidInPlainWords connects as TLS where none is spoken, and the other way round.
func TestWrongPortsAndSchemesAreSaidInPlainWords(t *testing.T) {
	t.Parallel()
	certificate, _ := selfSigned(t)
	sealed := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{TLS: &certificate}})
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	go func() { // cameras that do not understand a TLS hello say so in plain text
		for conn, err := open.Accept(); err == nil; conn, err = open.Accept() {
			_, _ = conn.Write([]byte("RTSP/1.0 400 Bad Request\r\n\r\n"))
		}
	}()
	for name, c := range map[string]struct{ url, says string }{
		"rtsps to a plain port": {"rtsps://" + open.Addr().String() + "/live",
			"does not speak TLS on that port: write rtsp:// instead of rtsps:// in the camera's URL, or correct the port."},
		"rtsp to a port of TLS": {strings.Replace(sealed.URL(), "rtsps://", "rtsp://", 1),
			"check the port, and write rtsps:// for one with TLS."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stdout, stderr, code := invocation{dir: t.TempDir(), args: []string{"record", c.url}}.runFor(t, 2, says(c.says))
			if code != exitFailure || !strings.Contains(stdout, c.says) || strings.Contains(stderr, "tls:") || strings.Contains(stderr, "dial") {
				t.Errorf("it ends with %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

func TestRecordObeysTheAgentsSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, env string
		args      []string
		sound     bool
	}{
		{"sound", "", nil, true},
		{"without sound by the variable", "AWS_KVS_EDGE_AUDIO=off", nil, false},
		{"without sound by the flag", "AWS_KVS_EDGE_AUDIO=on", []string{"--audio", "off", "--rtsp-transport", "udp"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC})
			dir, stdout, stderr, code := invocation{dir: t.TempDir(), env: []string{c.env}, args: append([]string{"record",
				camera.URL()}, c.args...)}.runFor(t, 3, func(dir, stdout string, code int) bool {
				return recordedIt(dir, stdout, code) && (code != 0 || !c.sound || slices.Contains(trackTypes(t, dir), strictmkv.TypeAudio))
			})
			sound := slices.Contains(trackTypes(t, dir), strictmkv.TypeAudio)
			if code != 0 || sound != c.sound {
				t.Errorf("it ends with %d, audio recorded: %t, want %t: %s%s", code, sound, c.sound, stdout, stderr)
			}
		})
	}
}

// trackTypes are those of all blocks in the files below a directory.
func trackTypes(t *testing.T, dir string) (types []uint64) {
	t.Helper()
	for _, path := range mediaBelow(t, dir) {
		for block, err := range strictmkv.ReadFile(path) {
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, uint64(block.Track.Type))
		}
	}
	return types
}

func mediaBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".mkv") {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func TestRecordTrustsAPrivateCA(t *testing.T) {
	t.Parallel()
	certificate, file := selfSigned(t)
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{TLS: &certificate}})
	if _, stdout, stderr, code := (invocation{dir: t.TempDir(), args: []string{"record", "--rtsps-ca-cert",
		file, camera.URL()}}).runFor(t, 3, recordedIt); code != 0 {
		t.Errorf("with its CA it ends with %d: %s%s", code, stdout, stderr)
	}
	_, stdout, stderr, code := invocation{dir: t.TempDir(), args: []string{"record", camera.URL()}}.runFor(t, 2, says("is not trusted"))
	if code != exitFailure || !strings.Contains(stdout, "is not trusted") || strings.Contains(stdout+stderr, "secret") {
		t.Errorf("without it ends with %d: %s%s", code, stdout, stderr)
	}
}

// selfSigned makes a certificate for 127.0.0.1, and a file with it.
func selfSigned(t *testing.T) (certificate tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0,
			1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestRecordKeepsWithinItsLimits waits until the oldest recording is deleted.
func TestRecordKeepsWithinItsLimits(t *testing.T) {
	t.Parallel()
	for _, limit := range [][]string{{"--max-size", "5MB"}, {"--max-age", "3s"}} {
		t.Run(limit[0], func(t *testing.T) {
			t.Parallel()
			recordUntilTheOldestGoes(t, limit)
		})
	}
}

func recordUntilTheOldestGoes(t *testing.T, limit []string) {
	t.Helper()
	camera := startCamera(t, fakecam.Options{Bitrate: 8_000_000})
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := append([]string{"record", "--dir", dir, "--segment-duration", "1s", camera.URL()}, limit...)
	cmd := exec.CommandContext(t.Context(), path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	first := ""
	(&site{t: t}).eventually("the deletion of the oldest recording", func() error {
		for _, file := range mediaBelow(t, dir) {
			name := filepath.Base(file)[:len("20261121T042048.123Z")]
			if first == "" {
				first = name
			}
			if name == first {
				return errors.New("the first recording is kept")
			}
		}
		if first == "" {
			return errors.New("nothing is recorded")
		}
		return nil
	})
}

func TestDirectoriesOfCamerasNeverDependOnTheOthers(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"rtsp://10.0.0.5/stream1":                                       "10.0.0.5-stream1", // as ever
		"rtsp://user:p@ss:w/1@10.0.0.5:8554/live/main":                  "10.0.0.5-8554-live-main",
		"rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0":           "10.0.0.5-cam-realmonitor-channel-1-subtype-0",
		"rtsp://10.0.0.5/cam/realmonitor?subtype=0&channel=2":           "10.0.0.5-cam-realmonitor-channel-2-subtype-0",
		"rtsps://10.0.0.5/live?fingerprint=" + strings.Repeat("ab", 32): "10.0.0.5-live",
	} {
		names, err := streamNames([]secret.String{secret.New(url)})
		if err != nil || names[0] != want {
			t.Errorf("%s is %v, want %s: %v", url, names, want, err)
		}
	}
	urls := []string{
		"rtsp://h/x?channel=1", "rtsp://h/x?channel=2", "rtsp://h/x", "rtsp://h/x?channel=3&user=a&password=b", "rtsp://h/x?a=1-2",
		"rtsp://h/x?a-1=2",
		"rtsp://h/a/b", "rtsp://h/a-b", "rtsp://h/x?a=1&a=2", "rtsp://h/x?a=%2F",
	}
	of := func(urls []string) map[string]string {
		var list []secret.String
		for _, u := range urls {
			list = append(list, secret.New(u))
		}
		names, err := streamNames(list)
		if err != nil {
			t.Fatal(err)
		}
		byURL := map[string]string{}
		for i, u := range urls {
			byURL[u] = names[i]
		}
		return byURL
	}
	forward := of(urls)
	slices.Reverse(urls)
	seen := map[string]string{}
	for u, name := range of(urls) {
		if forward[u] != name {
			t.Errorf("%s is %s or %s by the order of the arguments", u, name, forward[u])
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%s and %s are both %s", u, other, name)
		}
		if seen[name] = u; strings.Contains(name, "password") {
			t.Errorf("the directory %s shows a password", name)
		}
	}
}

// TestRecordSpeaksOfNoSecret finds the recorder's and the store's sentences in their code.
func TestRecordSpeaksOfNoSecret(t *testing.T) {
	t.Parallel()
	found := 0
	joined := regexp.MustCompile(`" \+\n\s*"`) // a sentence of several lines
	sentence := regexp.MustCompile(`(?:Fault|fault|system|user)\([^"\n]*"([^"]*)"`)
	for _, pattern := range []string{"../../internal/recorder/*.go", "../../internal/camera/*.go", "../../internal/segment/*.go",
		"../../internal/segment/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if name := filepath.Base(file); strings.HasSuffix(name, "_test.go") {
				continue
			}
			code, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range sentence.FindAllStringSubmatch(joined.ReplaceAllString(string(code), ""), -1) {
				found++
				for _, word := range []string{"secret", "MediaURI", "AWS_KVS_EDGE_RTSP", "AWS_KVS_EDGE_AUDIO", "MaxLocalMediaSizeInMB",
					"EdgeRetentionInHours", "RTSP_URI"} {
					if text := withoutSecret(m[1]); strings.Contains(text, word) {
						t.Errorf("%s: record says %s: %q", file, word, text)
					}
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d sentences were found", found)
	}
}
