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
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// serviceOf is a rig's hub as systemd runs it: all its settings come from a file.
type serviceOf struct {
	*rig
	file  string
	agent *Agent
	level *logfile.Level
	log   *zap.Logger
}

// service starts the agent, with its settings in a file, until the test ends.
func (h *rig) service() *serviceOf {
	h.t.Helper()
	s := &serviceOf{rig: h, file: filepath.Join(h.Dir, "agent.env")}
	s.write(nil)
	source := settings.NewEnvSource(s.file, []string{settings.EnvUploadMode + "=live"}) // as Environment= of the unit
	initial, err := source.Read()
	must(h.t, err)
	wanted, err := initial.Settings()
	must(h.t, err)
	file, err := logfile.Open(wanted.Log)
	must(h.t, err)
	s.level = logfile.NewLevel(wanted.Log.Level)
	s.log = logfile.NewLogger(file, s.level)
	s.agent, err = New(wanted, Options{
		Version: "test", Log: s.log, LogLevel: s.level, LogFile: file, Source: source, Initial: initial, MetricsInterval: 100 * time.Millisecond,
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
	env := maps.Clone(s.Env)
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

func (s *serviceOf) reload() localapi.Reloaded {
	s.t.Helper()
	done, err := s.agent.Reload()
	must(s.t, err)
	return done
}

func (s *serviceOf) condition(code string) (health.Condition, bool) {
	for _, c := range s.agent.health.Component("", health.JobSettings).Snapshot().Conditions {
		if c.Code == code {
			return c, true
		}
	}
	return health.Condition{}, false
}

func variables() (list []settings.Variable) {
	for _, group := range settings.Variables() {
		list = append(list, group.Variables...)
	}
	return list
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

// TestEachVariableTakesEffectAsItSays changes every variable that there is, reloads, and looks. It
// is not parallel, as a rig is not.
func TestEachVariableTakesEffectAsItSays(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvGreengrassRoot] = "" // or the machine's own would count
	h.withStreamFiles()                    // without which there must be a cloud
	h.Env[settings.EnvWebCert], h.Env[settings.EnvWebKey] = h.Env[settings.EnvCoreCert], h.Env[settings.EnvCorePrivateKey]
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()))
	media := filepath.Join(h.Dir, "media")
	must(t, os.MkdirAll(media, 0o755))
	h.Configure("film", h.Secret("film", "file:///none.mp4"), func(c *types.EdgeConfig) {
		c.RecorderConfig.MediaSourceConfig.MediaUriType = types.MediaUriTypeFileUri
	})
	s := h.service()
	s.await("both streams are configured", func() bool { return len(s.agent.streams.names()) == 2 })
	a := s.agent
	address := testtools.HeldAddress(t, ownHost)
	ca := h.Env[settings.EnvCACert]
	key, cert := copyOf(t, h.Env[settings.EnvCorePrivateKey]), copyOf(t, h.Env[settings.EnvCoreCert])
	logs := filepath.Join(h.Dir, "other-log")
	both, camera, film := []string{"door", "film"}, []string{"door"}, []string{"film"}
	record := func(name string) jobspec.Record { return recordSpec(a, name) }
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
		streams []string    // that are restarted
		holds   func() bool // nil for what waits for a restart
	}{
		settings.EnvRegion: {value: "eu-west-1"}, settings.EnvThingName: {value: "another"}, settings.EnvRoleAlias: {value: "another"},
		settings.EnvCredentialEndpoint: {value: "other.example"}, settings.EnvDataEndpoint: {value: "other.example"},
		settings.EnvCACert: {value: copyOf(t, ca)}, settings.EnvCoreCert: {value: cert}, settings.EnvCorePrivateKey: {value: key},
		settings.EnvRecordingDirectory: {value: "/elsewhere"}, settings.EnvStateDirectory: {value: "/elsewhere"},
		settings.EnvSocket:     {value: "/elsewhere"},
		settings.EnvWebAddress: {value: "127.0.0.1:0"}, settings.EnvWebCert: {value: cert}, settings.EnvWebKey: {value: key},
		settings.EnvStreamsDirectory: {value: "/elsewhere"}, settings.EnvCloud: {value: "off"},
		settings.EnvSiteWiseHub: {value: "0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10"}, settings.EnvSiteWiseRetention: {value: "24"},
		settings.EnvSiteWiseTrickle: {value: "on"},
		settings.EnvAccountID:       {value: "999999999999"}, settings.EnvCABundle: {value: copyOf(t, ca)},
		settings.EnvCertFile: {value: copyOf(t, ca)}, settings.EnvGreengrassRoot: {value: "/none"},
		settings.EnvTokenExchange: {value: "http://localhost:1/"},
		endpoint.EnvFIPS:          {value: "true"}, endpoint.EnvDualStack: {value: "true"}, endpoint.EnvIgnoreURLs: {value: "true"},
		"AWS_ENDPOINT_URL": {value: "https://127.0.0.1:1"}, "HTTPS_PROXY": {value: "http://127.0.0.1:1"}, "NO_PROXY": {value: "127.0.0.1"},

		settings.EnvCloudWatchEnabled: {value: "TRUE", holds: func() bool {
			s.await("CloudWatch gets metrics", func() bool { return h.hasMetric("map[ThingName:test-hub] Alive 1") })
			return a.export.stopReports != nil
		}},
		settings.EnvLogLevel: {value: "debug", holds: func() bool { return s.level.Get() == "DEBUG" && s.log.Core().Enabled(zap.DebugLevel) }},
		settings.EnvLogOutputDirectory: {value: logs, holds: func() bool {
			s.log.Info("into the other directory")
			text, _ := os.ReadFile(filepath.Join(logs, "kvs-edge-agent.log"))
			return strings.Contains(string(text), "into the other directory")
		}},
		settings.EnvLogMaxFileSize:   {value: "7", holds: func() bool { return a.o.LogFile.Settings().MaxFileSizeMB == 7 }},
		settings.EnvLogRolloverCount: {value: "3", holds: func() bool { return a.o.LogFile.Settings().RolloverCount == 3 }},
		settings.EnvMinFreeDisk: {value: "25%", holds: func() bool {
			return settings.FittedReserve(a.settings().MinFreeDisk, 4000) == 1000
		}},
		settings.EnvHoldMax:     {value: "10%", holds: func() bool { return a.settings().HoldMax.Of(4000) == 400 }},
		settings.EnvDeleteAfter: {value: "audit", holds: func() bool { return !a.deletes.May(segment.Key{Stream: "door"}) }},
		settings.EnvUploadMode: {value: "scheduled", holds: func() bool {
			mode, _ := a.uploadMode.get()
			return mode == settings.UploadScheduled
		}},
		settings.EnvFragmentDuration: {value: "7s", holds: func() bool {
			return a.fragmentTarget("door") > 7*time.Second && a.fragmentTarget("door") < 8*time.Second
		}},
		settings.EnvUploadMaxBitrate: {value: "2M, 22:00-06:00=20M", holds: func() bool { return a.uploadCap.String() == "2M, 22:00-06:00=20M" }},
		settings.EnvUploadCap:        {value: "30GB/month@15", holds: func() bool { return a.meter.State().Cap.String() == "30GB/month@15" }},
		settings.EnvMetricsAddress:   {value: address, holds: scraped},

		settings.EnvFragmentTags: {value: "off", streams: both,
			holds: func() bool { return a.streams.get("door").jobs[1].spec.(jobspec.Upload).NoFragmentTags }},
		settings.EnvSegmentDuration: {value: "17s", streams: both,
			holds: func() bool { return record("door").SegmentDuration == 17*time.Second }},
		settings.EnvFlushInterval: {value: "300ms", streams: both,
			holds: func() bool { return record("film").FlushInterval == 300*time.Millisecond }},
		settings.EnvMediaDirectory: {value: media, streams: film, holds: func() bool { return record("film").MediaDirectory == media }},
		settings.EnvRTSPTransport:  {value: "udp", streams: camera, holds: func() bool { return record("door").Camera.Transport == "udp" }},
		settings.EnvRTSPSCACert:    {value: ca, streams: camera, holds: func() bool { return record("door").Camera.Roots != nil }},
		settings.EnvTimestampSource: {value: "camera", streams: camera,
			holds: func() bool { return record("door").Camera.TimestampSource == "camera" }},
		settings.EnvAudio: {value: "off", streams: camera, holds: func() bool { return record("door").Camera.NoAudio }},
	} {
		var effect settings.Effect
		for _, v := range variables() {
			if v.Name == name {
				effect = v.Effect
			}
		}
		s.write(map[string]string{name: change.value})
		done := s.reload()
		want := localapi.Reloaded{Changed: []string{name}, Streams: change.streams}
		if effect == settings.AfterRestart {
			want = localapi.Reloaded{AfterRestart: []string{name}}
		}
		if diff := cmp.Diff(want, done); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if (effect == settings.AfterRestart) != (change.holds == nil) ||
			(effect == settings.AtReloadByRecordings || effect == settings.AtReloadByUploads) != (change.streams != nil) {
			t.Errorf("%s is said to need %q", name, effect)
		}
		if change.holds != nil && !change.holds() {
			t.Errorf("%s=%s has no effect", name, change.value)
		}
		c, waits := s.condition(codeRestart)
		if waits != (effect == settings.AfterRestart) || waits && (!strings.Contains(c.Text, "The new "+name+":") || c.Severity != health.Info) {
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
	for _, v := range variables() {
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
	h := newRig(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	h.Env[settings.EnvMetricsAddress] = testtools.HeldAddress(t, ownHost)
	s := h.service()
	notDir := copyOf(t, h.Env[settings.EnvCACert])
	before := s.agent.settings()
	for name, tc := range map[string]struct{ variable, value, want string }{
		"wrong value":          {settings.EnvUploadMaxBitrate, "fast", settings.EnvUploadMaxBitrate + `: "fast" is not a rate`},
		"missing":              {settings.EnvRegion, "", settings.EnvRegion + " is not set"},
		"no such file":         {settings.EnvRTSPSCACert, "/none", "no such file"},
		"certificate of other": {settings.EnvCoreCert, h.Env[settings.EnvCACert], "do not match"},
		"log that cannot be":   {settings.EnvLogOutputDirectory, notDir, settings.EnvLogOutputDirectory + ": cannot write the log"},
		"address in use":       {settings.EnvMetricsAddress, taken.Addr().String(), "address already in use"},
	} {
		s.write(map[string]string{tc.variable: tc.value, settings.EnvLogLevel: "DEBUG"})
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
	if done := s.reload(); !cmp.Equal(done, localapi.Reloaded{}) {
		t.Errorf("the file as it was changes %+v", done)
	}
	if c, raised := s.condition(codeRefused); raised {
		t.Errorf("after a good reload the status says %+v", c)
	}
}

func TestTheMetricsAddressMovesWithinItsOwnPort(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvMetricsAddress] = testtools.HeldAddress(t, "127.0.0.1")
	s := h.service()
	_, port, err := net.SplitHostPort(h.Env[settings.EnvMetricsAddress])
	must(t, err)
	for _, address := range []string{"localhost:" + port, ":" + port, h.Env[settings.EnvMetricsAddress]} {
		s.write(map[string]string{settings.EnvMetricsAddress: address})
		s.reload()
		resp, err := http.Get("http://127.0.0.1:" + port + "/metrics")
		must(t, err)
		_ = resp.Body.Close()
	}
}

func TestWhatIsNoSettingIsNamed(t *testing.T) {
	h := newRig(t)
	s := h.service()
	s.write(map[string]string{
		"AWS_KVS_EDGE_LOGLEVEL": "DEBUG", "AWS_IOT_CORE_THINGNAME": "hub",
		"GST_PLUGIN_PATH": "/opt/gst", "TZ": "Europe/Berlin", "AWS_ENDPOINT_URL_STS": "https://127.0.0.1:1",
	})
	want := localapi.Reloaded{Unknown: []string{"AWS_IOT_CORE_THINGNAME", "AWS_KVS_EDGE_LOGLEVEL"},
		AfterRestart: []string{"AWS_ENDPOINT_URL_STS", "TZ"}}
	if diff := cmp.Diff(want, s.reload()); diff != "" {
		t.Error(diff)
	}
	says := s.file + ", line "
	if c, shown := s.condition(codeMisspelt); !shown || !strings.Contains(c.Text, says) || !strings.Contains(c.Text,
		"did you mean "+settings.EnvLogLevel) {
		t.Errorf("status says %+v", c)
	}
	s.write(nil)
	s.reload()
	if c, shown := s.condition(codeMisspelt); shown {
		t.Errorf("status still says %q", c.Text)
	}
}

// TestTheFileCountsBeforeTheEnvironment checks a start and a reload, which must not differ.
func TestTheFileCountsBeforeTheEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "agent.env")
	must(t, os.WriteFile(file, []byte("A=file\nB=\n"), 0o600))
	source := settings.NewEnvSource(file, []string{"A=environment", "B=environment", "C=environment=x"})
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
	h := newRig(t)
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()))
	s := &serviceOf{rig: h, file: filepath.Join(h.Dir, "agent.env")}
	s.write(nil)
	source := settings.NewEnvSource(s.file, nil)
	initial, err := source.Read()
	must(t, err)
	requests := make(chan os.Signal, 1)
	a, err := New(h.Settings(), Options{Version: "test", Source: source, Initial: initial, ReloadRequests: requests})
	must(t, err)
	s.agent = a
	if _, err := a.Reload(); err == nil || !strings.Contains(err.Error(), "starting or stopping") {
		t.Errorf("before it runs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	stop := make(chan struct{})
	var group sync.WaitGroup
	var good atomic.Int32
	for i := range 4 {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if i == 0 { // one writes, as an administrator does: a new file in the place of the old one
					s.replace(map[string]string{
						settings.EnvSegmentDuration: []string{"5s", "6s"}[n%2], settings.EnvCloudWatchEnabled: []string{"TRUE", "FALSE"}[n/2%2],
						settings.EnvUploadMode: []string{"live", "scheduled"}[n%2], settings.EnvUploadMaxBitrate: []string{"1M", ""}[n%2],
					})
				}
				select {
				case requests <- nil:
				default:
				}
				if _, err := a.Reload(); err == nil {
					good.Add(1)
				} else if !strings.Contains(err.Error(), "starting or stopping") {
					t.Error(err)
				}
			}
		})
	}
	go func() { stopped <- a.Run(ctx) }()
	s.await("reloads beside each other", func() bool { return good.Load() > 30 && len(a.streams.names()) == 1 })
	cancel()
	must(t, <-stopped)
	close(stop)
	group.Wait()
	if left := streamGoroutines(); left != "" {
		t.Errorf("after the stop there runs:\n%s", left)
	}
}

// replace puts a new file in the place of the old one.
func (s *serviceOf) replace(changes map[string]string) {
	next := &serviceOf{rig: s.rig, file: s.file + ".new"}
	next.write(changes)
	if err := os.Rename(next.file, s.file); err != nil {
		s.t.Error(err)
	}
}

// TestOnlyOtherRootsRestartRecordings changes the name of the file, then what is in it.
func TestOnlyOtherRootsRestartRecordings(t *testing.T) {
	h := newRig(t)
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()))
	roots := copyOf(t, h.Env[settings.EnvCACert])
	h.Env[settings.EnvRTSPSCACert] = roots
	s := h.service()
	s.await("the stream is configured", func() bool { return len(s.agent.streams.names()) == 1 })
	s.write(map[string]string{settings.EnvRTSPSCACert: copyOf(t, roots)})
	if done := s.reload(); len(done.Streams) > 0 || !cmp.Equal(done.Changed, []string{settings.EnvRTSPSCACert}) {
		t.Errorf("the same roots in another file: %+v", done)
	}
	s.write(nil)
	s.reload()
	other, _ := testtools.DeviceFiles(t, t.TempDir(), "camera")
	must(t, os.Rename(other, roots))
	if done := s.reload(); !cmp.Equal(done, localapi.Reloaded{Changed: []string{settings.EnvRTSPSCACert}, Streams: []string{"door"}}) {
		t.Errorf("other roots in the same file: %+v", done)
	}
}
