package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// command runs the program beside the agent, as its user does, and returns what it printed and its exit code.
func (s *site) command(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	return s.commandIn([]string{"AWS_KVS_EDGE_SOCKET=" + filepath.Join(s.dir, "agent.sock")}, args...)
}

// commandIn is command in another shell.
func (s *site) commandIn(env []string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = s.dir
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestStatusTellsMonitoringByItsExitCode(t *testing.T) {
	inWorlds(t, statusTellsMonitoringByItsExitCode)
}

func statusTellsMonitoringByItsExitCode(t *testing.T, w world) {
	s := newSite(t, w)
	if _, stderr, code := s.command("status"); code != exitDown || !strings.Contains(stderr, "no agent is running") {
		t.Errorf("without an agent: exit code %d, %s", code, stderr)
	}
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	s.startAgent()
	s.awaitRecorded("door", 10)
	s.eventually("exit code 0", func() error {
		if out, stderr, code := s.command("status"); code != 0 {
			return errors.New(out + stderr)
		}
		return nil
	})
	camera.Unplug()
	s.eventually("exit code 2 when no camera records", func() error {
		if out, stderr, code := s.command("status"); code != exitDown {
			return errors.New(out + stderr)
		}
		return nil
	})
	s.configure("yard", startCamera(t, fakecam.Options{}).URL())
	s.eventually("exit code 1 when one of two records", func() error {
		if out, stderr, code := s.command("status"); code != exitDegraded {
			return errors.New(out + stderr)
		}
		return nil
	})
	s.stopAgent()
}

func TestStatusWatchShowsItAnewUntilItIsStopped(t *testing.T) {
	inWorlds(t, statusWatchShowsItAnewUntilItIsStopped)
}

func statusWatchShowsItAnewUntilItIsStopped(t *testing.T, w world) {
	s := newSite(t, w)
	s.startAgent()
	s.status()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "status", "--watch", "--json", "--interval", "100ms", "--socket", s.agent.socket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(out)
	var last time.Time
	for range 3 {
		var snapshot status.Snapshot
		if err := decoder.Decode(&snapshot); err != nil {
			t.Fatal(err)
		}
		if !snapshot.Time.After(last) {
			t.Errorf("the same status is shown again: %s", snapshot.Time)
		}
		last = snapshot.Time
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the exit code of a healthy agent is not 0: %v", err)
	}
	s.stopAgent()
}

func TestARedrawnFrameLeavesNothingOfTheOneBefore(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := &display{out: &out, redraw: true}
	_, _ = f.Write([]byte("one\ntwo\n"))
	if err := f.flush(); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestPlantedSecretsAppearNowhere runs the agent through success and failure at the most talkative
// level, and then reads everything that it and its commands wrote.
func TestPlantedSecretsAppearNowhere(t *testing.T) { inWorlds(t, plantedSecretsAppearNowhere) }

func plantedSecretsAppearNowhere(t *testing.T, w world) {
	s := newSite(t, w)
	open := startCamera(t, fakecam.Options{User: "admin", Pass: "plantedRight/p@ss"})
	s.configure("open", open.URL())
	locked := startCamera(t, fakecam.Options{User: "admin", Pass: "other"})
	s.configure("locked", strings.Replace(locked.URL(), "other", "plantedWrong", 1))
	gone := startCamera(t, fakecam.Options{User: "admin", Pass: "plantedGone"})
	goneURL := gone.URL()
	gone.Unplug()
	s.configure("gone", goneURL)
	for name, value := range map[string]string{
		"not-json": "plantedText rtsp://admin:plantedText@10.0.0.1/", "no-key": `{"password":"plantedKey"}`,
		"no-url": `{"MediaURI":"http://admin:plantedURL@10.0.0.1/"}`,
	} {
		arn, err := s.cloud.PutSecret(name, value)
		if err != nil {
			t.Fatal(err)
		}
		s.configureSecret(name, arn)
	}
	shell := []string{
		"AWS_ACCESS_KEY_ID=AKIAPLANTED000000000", "AWS_SECRET_ACCESS_KEY=plantedAccess", "AWS_SESSION_TOKEN=plantedToken",
		"HTTP_PROXY=http://user:plantedProxy@127.0.0.1:1", "HTTPS_PROXY=http://user:plantedProxy@127.0.0.1:1",
		"NO_PROXY=127.0.0.1,localhost", "AWS_KVS_EDGE_CLOUD_WATCH_ENABLED=TRUE",
	}
	s.startAgent(shell...)
	s.status()
	if out, stderr, code := s.command("log-level", "debug"); code != 0 || strings.TrimSpace(out) != "DEBUG" {
		t.Errorf("log-level: exit code %d, %s%s", code, out, stderr)
	}
	if out, _, _ := s.command("log-level"); strings.TrimSpace(out) != "DEBUG" {
		t.Errorf("the level is %s", out)
	}
	if _, stderr, code := s.command("log-level", "loud"); code != exitSettings || !strings.Contains(stderr, "TRACE") {
		t.Errorf("a level that does not exist: exit code %d, %s", code, stderr)
	}
	s.awaitRecorded("open", 50)
	s.awaitCondition("locked", "password")
	s.awaitCondition("gone", "")
	s.awaitCondition("no-key", "secret")
	if err := s.cloud.Media().AwaitFragments(t.Context(), "open", 1); err != nil {
		t.Fatal(err)
	}
	s.cloud.Faults().CutOff()
	s.awaitBacklog("open", 3)
	s.cloud.Faults().Restore()

	// What something else wrote down does not leave the hub either.
	key, err := os.ReadFile(envValue(s.cloud, "AWS_IOT_CORE_PRIVATE_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte("rtsp://admin:plantedForeign@10.0.0.1/ AWS_SECRET_ACCESS_KEY=plantedForeign\n"), key...)
	if err := os.WriteFile(filepath.Join(s.dir, "log", "foreign.log"), foreign, 0o640); err != nil {
		t.Fatal(err)
	}
	written := map[string][]byte{}
	tools := s.plantedTools(string(key))
	out, stderr, code := s.commandIn(s.env(append(shell, "PATH="+tools)...), "support-bundle", "--out", "bundle.tar.gz")
	const lacks = "not in the bundle: clock.txt: no bus for rtsp://[redacted]@h/: "
	if code != 0 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, lacks) {
		t.Errorf("support-bundle: exit code %d, %s", code, stderr)
	}
	written["support-bundle"] = []byte(out + stderr)
	for name, data := range readBundle(t, filepath.Join(s.dir, "bundle.tar.gz")) {
		written["bundle/"+name] = data
	}
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		out, stderr, _ := s.command(args...)
		written[strings.Join(args, " ")] = []byte(out + stderr)
	}
	s.stopAgent()
	for _, dir := range []string{"log", "state", "recordings", "agent.out"} {
		s.readAll(dir, written)
	}
	delete(written, "log/foreign.log") // it was ours

	for _, name := range []string{"agent.out", "log/kvs-edge-agent.log", "bundle/logs/kvs-edge-agent.log", "bundle/logs/foreign.log",
		"bundle/status.json", "bundle/settings.json", "bundle/metrics.txt", "bundle/store.txt", "bundle/version.txt",
		"bundle/check.json", "bundle/edge.json", "bundle/disks.txt", "bundle/pressure.txt", "bundle/clock.txt",
		"bundle/journal.txt"} {
		if len(written[name]) == 0 {
			t.Errorf("%s is missing or empty", name)
		}
	}
	if !bytes.Contains(written["bundle/settings.json"], []byte("[redacted]@127.0.0.1:1")) {
		t.Errorf("the proxy is missing in the settings:\n%s", written["bundle/settings.json"])
	}
	for name, want := range map[string]string{
		"check.json": "refuses the user name or password", "edge.json": `"StreamName": "locked"`, "disks.txt": "AWS_KVS_EDGE_STATE_DIRECTORY",
		"pressure.txt": "/proc/", "clock.txt": "NTP service: active", "journal.txt": "--unit=kvs-edge-agent.service --lines=2000",
	} {
		if !bytes.Contains(written["bundle/"+name], []byte(want)) {
			t.Errorf("%s lacks %q:\n%s", name, want, written["bundle/"+name])
		}
	}
	planted := []string{"planted", "PLANTED"}
	lines := strings.Split(strings.TrimSpace(string(key)), "\n")
	planted = append(planted, lines[1:len(lines)-1]...)
	for _, v := range s.cloud.UserEnv() {
		if strings.Contains(v.Name, "SECRET") {
			planted = append(planted, v.Value)
		}
	}
	planted = append(planted, s.cloud.IssuedSecrets()...)
	if len(planted) < 6 {
		t.Errorf("only %d secrets are looked for", len(planted))
	}
	for name, data := range written {
		for _, word := range planted {
			if i := bytes.Index(data, []byte(word)); i >= 0 {
				t.Errorf("%s shows a secret: …%q…", name, data[max(0, i-80):min(len(data), i+20)])
			}
		}
	}
	t.Logf("%d secrets looked for in %d files", len(planted), len(written))
}

// plantedTools is a directory with a journalctl and a timedatectl that print secrets.
func (s *site) plantedTools(key string) (dir string) {
	s.t.Helper()
	dir = s.t.TempDir()
	for name, text := range map[string]string{
		"journalctl":  "echo \"$*\"\ncat <<'END'\nhub[1]: rtsp://admin:plantedJournal/p@ss@10.0.0.1/ password=plantedJournal\n" + key + "\nEND\n",
		"timedatectl": "echo NTP service: active, http://u:plantedClock@h/\necho 'no bus for rtsp://u:plantedBus@h/' >&2\nexit 1\n",
	} {
		script := "#!/bin/sh\nPATH=/bin:/usr/bin\n" + text
		testtools.WriteProgram(s.t, filepath.Join(dir, name), []byte(script), 0o700)
	}
	return dir
}

func envValue(cloud *localcloud.Cloud, name string) string {
	for _, v := range cloud.AgentEnv(testThing) {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func readBundle(t *testing.T, path string) map[string][]byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle's mode is %v %v", info.Mode(), err)
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		if files[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// readAll reads a file, or all files of a directory, below the site's.
func (s *site) readAll(name string, into map[string][]byte) {
	s.t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, name), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		into[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}
