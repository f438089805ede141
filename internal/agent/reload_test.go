package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// serviceOf is a house's hub as systemd runs it: all its settings come from a file.
type serviceOf struct {
	*house
	file  string
	agent *Agent
	level *LogLevel
	log   *zap.Logger
}

// service starts the agent, with its settings in a file, until the test ends.
func (h *house) service() *serviceOf {
	h.t.Helper()
	s := &serviceOf{house: h, file: filepath.Join(h.dir, "agent.env")}
	s.write(nil)
	source := NewSource(s.file, []string{EnvUploadMode + "=live"}) // as Environment= of the unit
	begun, err := source.Read()
	must(h.t, err)
	settings, err := begun.Settings()
	must(h.t, err)
	file, err := OpenLogFile(settings.Log)
	must(h.t, err)
	s.level = NewLogLevel(settings.Log.Level)
	s.log = NewLogger(file, s.level)
	s.agent, err = New(settings, Options{
		Version: "test", Log: s.log, LogLevel: s.level, LogFile: file, Source: source, Begun: begun, MetricsInterval: 100 * time.Millisecond,
	})
	must(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.agent.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			h.t.Error(err)
		}
		_ = file.Close()
	})
	s.await("the agent runs", func() bool {
		_, err := s.agent.Reload()
		return err == nil
	})
	return s
}

// write puts the settings into the file, those of changes instead of the usual ones.
func (s *serviceOf) write(changes map[string]string) {
	s.t.Helper()
	env := maps.Clone(s.env)
	maps.Copy(env, changes)
	var text bytes.Buffer
	text.WriteString("# settings\n")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text.WriteString(name + "='" + env[name] + "'\n")
	}
	must(s.t, os.WriteFile(s.file, text.Bytes(), 0o600))
}

func (s *serviceOf) await(what string, done func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for !done() {
		if backoff.Sleep(ctx, 10*time.Millisecond) != nil {
			s.t.Fatalf("it does not come to pass: %s", what)
		}
	}
}

func (s *serviceOf) reload() status.Reloaded {
	s.t.Helper()
	done, err := s.agent.Reload()
	must(s.t, err)
	return done
}

func (s *serviceOf) condition(code string) (health.Condition, bool) {
	for _, c := range s.agent.health.Part("", health.JobSettings).Snapshot().Conditions {
		if c.Code == code {
			return c, true
		}
	}
	return health.Condition{}, false
}

func copyOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	copied := filepath.Join(t.TempDir(), filepath.Base(path))
	must(t, os.WriteFile(copied, data, 0o600))
	return copied
}

// ownHost is a loopback address from which no connection of a test takes a port meanwhile.
const ownHost = "127.0.0.2"

func freeAddress(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestEachVariableTakesEffectAsItSays changes every variable that there is, reloads, and looks. It
// is not parallel, as a house is not.
func TestEachVariableTakesEffectAsItSays(t *testing.T) {
	h := newHouse(t)
	h.env[EnvGreengrassRoot] = "" // or the machine's own would count
	h.configure("door", h.secret("door", h.camera(fakecam.Options{}).URL()))
	media := filepath.Join(h.dir, "media")
	must(t, os.MkdirAll(media, 0o755))
	h.configure("film", h.secret("film", "file:///none.mp4"), func(c *types.EdgeConfig) {
		c.RecorderConfig.MediaSourceConfig.MediaUriType = types.MediaUriTypeFileUri
	})
	s := h.service()
	s.await("both streams are configured", func() bool { return len(s.agent.streams.names()) == 2 })
	a := s.agent
	address := freeAddress(t, ownHost)
	ca := h.env[EnvCACert]
	key, cert := copyOf(t, h.env[EnvCorePrivateKey]), copyOf(t, h.env[EnvCoreCert])
	logs := filepath.Join(h.dir, "other-log")
	both, camera, film := []string{"door", "film"}, []string{"door"}, []string{"film"}
	record := func(name string) recordSpec { return a.streams.get(name).record }
	scraped := func() bool {
		resp, err := http.Get("http://" + address + "/metrics")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	}
	tested := make(map[string]bool)
	for name, change := range map[string]struct {
		value   string
		streams []string    // that begin anew
		holds   func() bool // nil for what waits for a restart
	}{
		EnvRegion: {value: "eu-west-1"}, EnvThingName: {value: "another"}, EnvRoleAlias: {value: "another"},
		EnvCredentialEndpoint: {value: "other.example"}, EnvDataEndpoint: {value: "other.example"},
		EnvCACert: {value: copyOf(t, ca)}, EnvCoreCert: {value: cert}, EnvCorePrivateKey: {value: key},
		EnvRecordingDirectory: {value: "/elsewhere"}, EnvStateDirectory: {value: "/elsewhere"}, EnvSocket: {value: "/elsewhere"},
		EnvAccountID: {value: "999999999999"}, EnvCABundle: {value: copyOf(t, ca)}, EnvCertFile: {value: copyOf(t, ca)}, EnvGreengrassRoot: {value: "/none"},
		EnvTokenExchange:   {value: "http://localhost:1/"},
		"AWS_ENDPOINT_URL": {value: "https://127.0.0.1:1"}, "HTTPS_PROXY": {value: "http://127.0.0.1:1"}, "NO_PROXY": {value: "127.0.0.1"},

		EnvCloudWatchEnabled: {value: "TRUE", holds: func() bool {
			s.await("CloudWatch gets metrics", func() bool { return h.hasMetric("map[ThingName:test-hub] Alive 1") })
			return a.optional.stopReports != nil
		}},
		EnvLogLevel: {value: "debug", holds: func() bool { return s.level.Get() == "DEBUG" && s.log.Core().Enabled(zap.DebugLevel) }},
		EnvLogOutputDirectory: {value: logs, holds: func() bool {
			s.log.Info("into the other directory")
			text, _ := os.ReadFile(filepath.Join(logs, logFileName))
			return strings.Contains(string(text), "into the other directory")
		}},
		EnvLogMaxFileSize:   {value: "7", holds: func() bool { return a.o.LogFile.file.MaxSize == 7 }},
		EnvLogRolloverCount: {value: "3", holds: func() bool { return a.o.LogFile.file.MaxBackups == 3 }},
		EnvMinFreeDisk:      {value: "25%", holds: func() bool { return fittedReserve(a.settings().MinFreeDisk, 4000) == 1000 }},
		EnvUploadMode: {value: "scheduled", holds: func() bool {
			mode, _ := a.uploadMode.get()
			return mode == UploadScheduled
		}},
		EnvUploadMaxBitrate: {value: "2M, 22:00-06:00=20M", holds: func() bool { return a.uploadCap.String() == "2M, 22:00-06:00=20M" }},
		EnvMetricsAddress:   {value: address, holds: scraped},

		EnvFragmentTags:    {value: "off", streams: both, holds: func() bool { return a.streams.get("door").upload.noFragmentTags }},
		EnvSegmentDuration: {value: "17s", streams: both, holds: func() bool { return record("door").segmentDuration == 17*time.Second }},
		EnvFlushInterval:   {value: "300ms", streams: both, holds: func() bool { return record("film").flushInterval == 300*time.Millisecond }},
		EnvMediaDirectory:  {value: media, streams: film, holds: func() bool { return record("film").mediaDirectory == media }},
		EnvRTSPTransport:   {value: "udp", streams: camera, holds: func() bool { return record("door").camera.Transport == "udp" }},
		EnvRTSPSCACert:     {value: ca, streams: camera, holds: func() bool { return record("door").camera.Roots != nil }},
		EnvTimestampSource: {value: "camera", streams: camera, holds: func() bool { return record("door").camera.TimestampSource == "camera" }},
		EnvAudio:           {value: "off", streams: camera, holds: func() bool { return record("door").camera.NoAudio }},
	} {
		var effect Effect
		for _, v := range allVariables() {
			if v.Name == name {
				effect = v.Effect
			}
		}
		s.write(map[string]string{name: change.value})
		done := s.reload()
		want := status.Reloaded{Changed: []string{name}, Streams: change.streams}
		if effect == AfterRestart {
			want = status.Reloaded{AfterRestart: []string{name}}
		}
		if diff := cmp.Diff(want, done); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if (effect == AfterRestart) != (change.holds == nil) || (effect == AtReloadByRecordings || effect == AtReloadByUploads) != (change.streams != nil) {
			t.Errorf("%s is said to need %q", name, effect)
		}
		if change.holds != nil && !change.holds() {
			t.Errorf("%s=%s has no effect", name, change.value)
		}
		c, waits := s.condition(codeRestart)
		if waits != (effect == AfterRestart) || waits && (!strings.Contains(c.Text, "The new "+name+":") || c.Severity != health.Info) {
			t.Errorf("%s: the status says %q", name, c.Text)
		}
		s.write(nil)
		back := s.reload()
		if diff := cmp.Diff(want.Changed, back.Changed); diff != "" || len(back.AfterRestart) > 0 {
			t.Errorf("%s, put back: %s, %v", name, diff, back.AfterRestart)
		}
		if _, waits := s.condition(codeRestart); waits {
			t.Errorf("%s was put back, and status still waits for a restart", name)
		}
		tested[name] = true
	}
	for _, v := range allVariables() {
		if !tested[v.Name] {
			t.Errorf("%s was not changed", v.Name)
		}
	}
	if scraped() {
		t.Error("metrics are still served where they were")
	}
}

// TestWrongSettingsChangeNothing has each wrong file set the log level as well, rightly.
func TestWrongSettingsChangeNothing(t *testing.T) {
	h := newHouse(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	h.env[EnvMetricsAddress] = freeAddress(t, ownHost)
	s := h.service()
	notDir := copyOf(t, h.env[EnvCACert])
	before := s.agent.settings()
	for name, tc := range map[string]struct{ variable, value, want string }{
		"wrong value":          {EnvUploadMaxBitrate, "fast", EnvUploadMaxBitrate + `: "fast" is not a rate`},
		"missing":              {EnvRegion, "", EnvRegion + " is not set"},
		"no such file":         {EnvRTSPSCACert, "/none", "no such file"},
		"certificate of other": {EnvCoreCert, h.env[EnvCACert], "do not fit"},
		"log that cannot be":   {EnvLogOutputDirectory, notDir, EnvLogOutputDirectory + ": cannot write the log"},
		"address in use":       {EnvMetricsAddress, taken.Addr().String(), "address already in use"},
	} {
		s.write(map[string]string{tc.variable: tc.value, EnvLogLevel: "DEBUG"})
		text, err := os.ReadFile(s.file)
		must(t, err)
		line := 1 + strings.Count(string(text)[:strings.Index(string(text), "\n"+tc.variable+"=")], "\n")
		_, err = s.agent.Reload()
		var fault *health.Fault
		if !errors.As(err, &fault) || fault.Class != health.UserError {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range []string{tc.want, fmt.Sprintf("%s, line %d: %s", s.file, line+1, tc.variable), "stay in effect"} {
			if !strings.Contains(fault.Text, want) || strings.Contains(fault.Text, "\n") {
				t.Errorf("%s: %q does not say %q", name, fault.Text, want)
			}
		}
		if c, raised := s.condition(codeRefused); !raised || c.Text != fault.Text || c.Severity != health.Degraded {
			t.Errorf("%s: the status says %+v", name, c)
		}
		if got := s.agent.settings(); got != before || s.level.Get() != "INFO" {
			t.Errorf("%s: the settings are %+v", name, got)
		}
		if resp, err := http.Get("http://" + before.MetricsAddress + "/metrics"); err != nil {
			t.Errorf("%s: metrics are no longer served: %v", name, err)
		} else {
			_ = resp.Body.Close()
		}
	}
	must(t, os.Remove(s.file))
	if _, err := s.agent.Reload(); err == nil || !strings.Contains(err.Error(), "cannot read the settings in "+s.file) {
		t.Errorf("without the file: %v", err)
	}
	s.write(nil)
	if done := s.reload(); !cmp.Equal(done, status.Reloaded{}) {
		t.Errorf("the file as it was changes %+v", done)
	}
	if c, raised := s.condition(codeRefused); raised {
		t.Errorf("after a good reload the status says %+v", c)
	}
}

func TestTheMetricsAddressMovesWithinItsOwnPort(t *testing.T) {
	h := newHouse(t)
	h.env[EnvMetricsAddress] = freeAddress(t, "127.0.0.1")
	s := h.service()
	_, port, err := net.SplitHostPort(h.env[EnvMetricsAddress])
	must(t, err)
	for _, address := range []string{"localhost:" + port, ":" + port, h.env[EnvMetricsAddress]} {
		s.write(map[string]string{EnvMetricsAddress: address})
		s.reload()
		resp, err := http.Get("http://127.0.0.1:" + port + "/metrics")
		must(t, err)
		_ = resp.Body.Close()
	}
}

func TestWhatIsNoSettingIsNamed(t *testing.T) {
	h := newHouse(t)
	s := h.service()
	s.write(map[string]string{
		"AWS_KVS_EDGE_LOGLEVEL": "DEBUG", "AWS_IOT_CORE_THINGNAME": "hub",
		"GST_PLUGIN_PATH": "/opt/gst", "TZ": "Europe/Berlin", "AWS_ENDPOINT_URL_STS": "https://127.0.0.1:1",
	})
	want := status.Reloaded{Unknown: []string{"AWS_IOT_CORE_THINGNAME", "AWS_KVS_EDGE_LOGLEVEL"},
		AfterRestart: []string{"AWS_ENDPOINT_URL_STS", "TZ"}}
	if diff := cmp.Diff(want, s.reload()); diff != "" {
		t.Error(diff)
	}
	says := s.file + ", line "
	if c, shown := s.condition(codeMisspelt); !shown || !strings.Contains(c.Text, says) || !strings.Contains(c.Text,
		"did you mean "+EnvLogLevel) {
		t.Errorf("status says %+v", c)
	}
	s.write(nil)
	s.reload()
	if c, shown := s.condition(codeMisspelt); shown {
		t.Errorf("status still says %q", c.Text)
	}
}

// TestTheFileCountsBeforeTheEnvironment looks at the start and at a reload, which must not differ.
func TestTheFileCountsBeforeTheEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "agent.env")
	must(t, os.WriteFile(file, []byte("A=file\nB=\n"), 0o600))
	source := NewSource(file, []string{"A=environment", "B=environment", "C=environment=x"})
	r, err := source.Read()
	must(t, err)
	for name, want := range map[string]string{"A": "file", "B": "", "C": "environment=x"} {
		if got, ok := r.Lookup(name); got != want || !ok {
			t.Errorf("%s is %q", name, got)
		}
	}
	must(t, os.WriteFile(file, nil, 0o600))
	r, err = source.Read()
	must(t, err)
	if got, _ := r.Lookup("A"); got != "environment" {
		t.Errorf("what the file no longer sets is %q", got)
	}
}

// TestReloadsMeetStartStopAndEachOther is for the race detector.
func TestReloadsMeetStartStopAndEachOther(t *testing.T) {
	h := newHouse(t)
	h.configure("door", h.secret("door", h.camera(fakecam.Options{}).URL()))
	s := &serviceOf{house: h, file: filepath.Join(h.dir, "agent.env")}
	s.write(nil)
	source := NewSource(s.file, nil)
	begun, err := source.Read()
	must(t, err)
	requests := make(chan os.Signal, 1)
	a, err := New(h.settings(), Options{Version: "test", Source: source, Begun: begun, ReloadRequests: requests})
	must(t, err)
	s.agent = a
	if _, err := a.Reload(); err == nil || !strings.Contains(err.Error(), "starts or stops") {
		t.Errorf("before it runs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	enough := make(chan struct{})
	var group sync.WaitGroup
	var good atomic.Int32
	for i := range 4 {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-enough:
					return
				default:
				}
				if i == 0 { // one writes, as an administrator does: a new file in the place of the old one
					s.replace(map[string]string{
						EnvSegmentDuration: []string{"5s", "6s"}[n%2], EnvCloudWatchEnabled: []string{"TRUE", "FALSE"}[n/2%2],
						EnvUploadMode: []string{"live", "scheduled"}[n%2], EnvUploadMaxBitrate: []string{"1M", ""}[n%2],
					})
				}
				select {
				case requests <- nil:
				default:
				}
				if _, err := a.Reload(); err == nil {
					good.Add(1)
				} else if !strings.Contains(err.Error(), "starts or stops") {
					t.Error(err)
				}
			}
		})
	}
	go func() { stopped <- a.Run(ctx) }()
	s.await("reloads beside each other", func() bool { return good.Load() > 30 && len(a.streams.names()) == 1 })
	cancel()
	must(t, <-stopped)
	close(enough)
	group.Wait()
	if left := streamGoroutines(); left != "" {
		t.Errorf("after the stop there runs:\n%s", left)
	}
}

// replace puts a new file in the place of the old one.
func (s *serviceOf) replace(changes map[string]string) {
	next := &serviceOf{house: s.house, file: s.file + ".new"}
	next.write(changes)
	if err := os.Rename(next.file, s.file); err != nil {
		s.t.Error(err)
	}
}

// TestOnlyOtherRootsRestartRecordings changes the name of the file, then what is in it.
func TestOnlyOtherRootsRestartRecordings(t *testing.T) {
	h := newHouse(t)
	h.configure("door", h.secret("door", h.camera(fakecam.Options{}).URL()))
	roots := copyOf(t, h.env[EnvCACert])
	h.env[EnvRTSPSCACert] = roots
	s := h.service()
	s.await("the stream is configured", func() bool { return len(s.agent.streams.names()) == 1 })
	s.write(map[string]string{EnvRTSPSCACert: copyOf(t, roots)})
	if done := s.reload(); len(done.Streams) > 0 || !cmp.Equal(done.Changed, []string{EnvRTSPSCACert}) {
		t.Errorf("the same roots in another file: %+v", done)
	}
	s.write(nil)
	s.reload()
	other, _ := deviceFiles(t, t.TempDir(), "camera")
	must(t, os.Rename(other, roots))
	if done := s.reload(); !cmp.Equal(done, status.Reloaded{Changed: []string{EnvRTSPSCACert}, Streams: []string{"door"}}) {
		t.Errorf("other roots in the same file: %+v", done)
	}
}
