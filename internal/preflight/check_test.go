package preflight

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// findings of one check.
type findings []Finding

// bad lists what is wrong.
func (all findings) bad() string {
	var lines []string
	for _, f := range all {
		if !f.OK {
			lines = append(lines, strings.TrimSpace(f.Stream+" "+f.Check)+": "+f.Text)
		}
	}
	return strings.Join(lines, "\n")
}

func (all findings) String() string {
	var lines []string
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%v %s %s: %s", f.OK, f.Stream, f.Check, f.Text))
	}
	return strings.Join(lines, "\n")
}

// TestACheckWithoutABundle is that of most hubs: AWS_CA_BUNDLE is not set, and the roots are the system's.
func TestACheckWithoutABundle(t *testing.T) {
	h := newRig(t)
	roots := h.Env[settings.EnvCACert]
	for name, value := range map[string]string{settings.EnvCABundle: "", settings.EnvCertFile: roots} {
		h.Env[name] = value
		t.Setenv(name, value)
	}
	must(t, os.Unsetenv(settings.EnvCABundle))
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()))
	if all, ok := h.check(); !ok {
		t.Errorf("a good hub is found faulty:\n%s", all)
	}
}

// zoned is a time as people get every one.
var zoned = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)\.`)

func TestACheckOfAGoodHubBesideTheAgentAndWithoutIt(t *testing.T) {
	h := newRig(t)
	camera := h.Camera(fakecam.Options{Bitrate: 4_000_000, User: "admin", Pass: "hunter2"})
	h.Configure("door", h.Secret("door", camera.URL()), site.Always)

	for _, beside := range []bool{false, true} {
		var before, after string
		wait := func() {}
		if beside {
			stop := h.run(agent.Options{})
			must(t, h.Cloud.AwaitSyncStatus(t.Context(), "door", "IN_SYNC"))
			must(t, h.Cloud.Media().AwaitFragments(t.Context(), "door", 1))
			before = fmt.Sprint(len(h.conditions(health.JobConfig)))
			wait = func() {
				after = fmt.Sprint(len(h.conditions(health.JobConfig)))
				if r := h.snapshot().Streams[0].Recorder; r.Reconnects != 0 || r.Gaps != 0 {
					t.Errorf("the check disturbed the recorder: %+v", r)
				}
				stop()
			}
		}
		all, ok := h.check()
		wait()
		if !ok || all.bad() != "" {
			t.Errorf("beside an agent %v: what is good is found bad:\n%s", beside, all.bad())
		}
		if before != after {
			t.Errorf("the check disturbed the agent's connection")
		}
		for _, want := range []string{
			"settings: Thing test-hub", "files: The private key and the state are closed", "certificate: The device certificate is valid until",
			"Kinesis Video Streams answers at", "Secrets Manager answers at", "STS answers at", "credentials answers at",
			"clock: The hub's clock agrees", "credentials: The role alias", "streams: 1 stream is configured",
			"true door configuration: Valid; it records 100 % of the week", "true door secret:",
			// Not the rates: on a busy machine the camera itself is late.
			"sends H.264, 1920×1080, ", " frames/s, ", " Mbit/s, a keyframe every 1.0 s",
			"true door retention: Kinesis Video Streams keeps the stream for 24 hours",
			"disk: There is room for 8", " GB a day",
			"host: Kinesis Video Streams: 127.0.0.1:", "host: Secrets Manager: 127.0.0.1:", "host: STS: 127.0.0.1:", " (from AWS_ENDPOINT_URL).",
			"host: AWS IoT (credentials): 127.0.0.1:", " (from AWS_IOT_CORE_CREDENTIAL_ENDPOINT).", "host: AWS IoT (MQTT): 127.0.0.1:",
			"true door host: Kinesis Video Streams (media): 127.0.0.1:", " (from GetDataEndpoint).",
		} {
			if !strings.Contains(all.String(), want) {
				t.Errorf("beside an agent %v: the findings lack %q", beside, want)
			}
		}
		if strings.Contains(all.String(), "hunter2") {
			t.Error("a password is shown")
		}
		for _, before := range []string{"to be renewed from ", ", since "} {
			_, at, found := strings.Cut(all.String(), before)
			if (found || beside) && !zoned.MatchString(at) {
				t.Errorf("beside an agent %v: after %q there is no time with its day and zone", beside, before)
			}
		}
		if t.Failed() {
			t.Logf("findings:\n%s", all)
		}
	}
}

func TestACheckNamesWhatIsWrongWithAHub(t *testing.T) {
	h := newRig(t)
	set := func(name, value string) func() {
		old, had := h.Env[name]
		h.Env[name] = value
		t.Setenv(name, value)
		return func() {
			if h.Env[name] = old; !had {
				delete(h.Env, name)
			}
			t.Setenv(name, old)
		}
	}
	hole := testtools.NewLink(t, h.Cloud.MQTTEndpoint())
	hole.Cut()
	key := h.Env[settings.EnvCorePrivateKey]
	at := func(d time.Duration) func(*Options) {
		return func(o *Options) { o.Now = func() time.Time { return time.Now().Add(d) } }
	}
	for name, row := range map[string]struct {
		breaks func() (undo func())
		option func(*Options)
		says   []string
	}{
		"a setting is missing": {breaks: func() func() { return set(settings.EnvRoleAlias, "") },
			says: []string{"settings: AWS_IOT_CORE_ROLE_ALIAS is not set", "correct the settings first"}},
		"the key is open": {breaks: func() func() {
			must(t, os.Chmod(key, 0o644))
			return func() { must(t, os.Chmod(key, 0o600)) }
		}, says: []string{"files: The private key", "chmod o=,g-w"}},
		"the recordings are a file": {breaks: func() func() { return set(settings.EnvRecordingDirectory, key) },
			says: []string{"files: AWS_KVS_EDGE_RECORDING_DIRECTORY", "is not a directory"}},
		"the clock is an hour slow": {option: at(-time.Hour), says: []string{"behind that of Kinesis Video Streams. Requests are dated by AWS's",
			"set the clock"}},
		"the clock is an hour fast": {option: at(time.Hour), says: []string{"ahead of that of Kinesis Video Streams"}},
		"the certificate is over": {option: at(200 * 365 * 24 * time.Hour),
			says: []string{"certificate: The device certificate was valid until"}},
		"the certificate is another account's": {breaks: func() func() {
			stranger := iottest.NewAuthority(t)
			dir := stranger.WriteFiles(stranger.Issue(thing, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
			certificate, privateKey := set(settings.EnvCoreCert, filepath.Join(dir, "cert.pem")),
				set(settings.EnvCorePrivateKey, filepath.Join(dir, "key.pem"))
			return func() { certificate(); privateKey() }
		}, says: []string{"endpoint: credentials at", "refuses the device certificate: check that it is active and of this account"}},
		"the role alias is wrong": {breaks: func() func() { return set(settings.EnvRoleAlias, "none") },
			says: []string{"credentials: The role alias none does not exist", "were not checked"}},
		"the broker is away": {breaks: func() func() { return set(settings.EnvDataEndpoint, hole.Address()) }, says: []string{"mqtt: "}},
		"credentials are away": {breaks: func() func() { return set(settings.EnvCredentialEndpoint, hole.Address()) },
			says: []string{"endpoint: credentials at", "cannot be reached"}},
		"the API is away": {breaks: func() func() { return set("AWS_ENDPOINT_URL", "https://"+hole.Address()) },
			says: []string{"endpoint: Kinesis Video Streams at", "clock: The hub's clock cannot be compared"}},
		"the name is wrong": {breaks: func() func() { return set("AWS_ENDPOINT_URL", "https://kvs.invalid") },
			says: []string{"cannot be resolved"}},
		"no host is a FIPS one": {breaks: func() func() { return set(endpoint.EnvFIPS, "true") },
			says: []string{"host: AWS_ENDPOINT_URL is " + strings.TrimPrefix(h.Cloud.Endpoint(), "https://"),
				"which is not the name of a FIPS endpoint of Kinesis Video Streams", "host: AWS_IOT_CORE_DATA_ATS_ENDPOINT is ",
				"host: AWS_IOT_CORE_CREDENTIAL_ENDPOINT is ", "credentials: AWS_IOT_CORE_CREDENTIAL_ENDPOINT is "}},
		"no host is known": {breaks: func() func() {
			ignore, dual := set(endpoint.EnvIgnoreURLs, "true"), set(endpoint.EnvDualStack, "true")
			region := set(settings.EnvRegion, "xx-nowhere-1")
			return func() { ignore(); dual(); region() }
		}, says: []string{"host: Kinesis Video Streams has no dual-stack endpoint in xx-nowhere-1 that is known here: set " +
			"AWS_USE_DUALSTACK_ENDPOINT=false, or name one in AWS_ENDPOINT_URL_KINESIS_VIDEO and set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false."}},
		"listing is not allowed": {breaks: func() func() {
			h.Cloud.Faults().RefuseOperation("ListEdgeAgentConfigurations", 403, "AccessDeniedException")
			return func() { h.Cloud.Faults().RefuseOperation("ListEdgeAgentConfigurations", 0, "") }
		}, says: []string{"streams: Kinesis Video Streams does not let the hub ask", "allow the hub's role"}},
	} {
		t.Run(name, func(t *testing.T) {
			if row.option == nil {
				row.option = func(*Options) {}
			}
			if row.breaks != nil {
				defer row.breaks()()
			}
			all, ok := h.check(row.option)
			if ok {
				t.Error("all is said to be well")
			}
			for _, want := range row.says {
				if !strings.Contains(all.bad(), want) {
					t.Errorf("what is bad lacks %q:\n%s", want, all.bad())
				}
			}
		})
	}
	t.Run("the certificate is revoked", func(t *testing.T) { // for good
		must(t, h.Cloud.Faults().RevokeCertificate(thing))
		all, _ := h.check()
		for _, want := range []string{"mqtt: ", "credentials: AWS IoT refuses the device certificate"} {
			if !strings.Contains(all.bad(), want) {
				t.Errorf("what is bad lacks %q:\n%s", want, all.bad())
			}
		}
	})
}

func TestACheckNamesWhatIsWrongWithAStream(t *testing.T) {
	h := newRig(t)
	good := h.Camera(fakecam.Options{User: "admin", Pass: "hunter2"})
	off := h.Camera(fakecam.Options{})
	off.Unplug()
	h.Configure("good", h.Secret("good", good.URL()))
	h.Configure("hard-password", h.Secret("hard-password", strings.Replace(good.URL(), "hunter2", "forgotten", 1)))
	h.Configure("mjpeg", h.Secret("mjpeg", h.Camera(fakecam.Options{MJPEG: true}).URL()))
	h.Configure("off", h.Secret("off", off.URL()))
	denied := h.Secret("denied", good.URL())
	h.Configure("denied", denied)
	h.Cloud.Faults().RefuseSecret(denied, "AccessDeniedException")
	h.Configure("schedule", h.Secret("schedule", good.URL()), func(c *types.EdgeConfig) {
		c.RecorderConfig.ScheduleConfig = &types.ScheduleConfig{ScheduleExpression: aws.String("0 0 25 * * ? *"),
			DurationInSeconds: aws.Int32(60)}
	})
	h.Configure("forgets", h.Secret("forgets", good.URL()))
	described, err := h.User.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("forgets")})
	must(t, err)
	_, err = h.User.UpdateDataRetention(t.Context(), &kinesisvideo.UpdateDataRetentionInput{
		StreamName: aws.String("forgets"), CurrentVersion: described.StreamInfo.Version,
		Operation: types.UpdateDataRetentionOperationDecreaseDataRetention, DataRetentionChangeInHours: aws.Int32(24),
	})
	must(t, err)
	h.Configure("large", h.Secret("large", good.URL()), func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{LocalSizeConfig: &types.LocalSizeConfig{MaxLocalMediaSizeInMB: aws.Int32(200_000)}}
	})

	all, ok := h.check()
	if ok {
		t.Error("all is said to be well")
	}
	for _, want := range []string{
		"hard-password camera: The camera at", "refuses the user name or password",
		"mjpeg camera: ", "sends MJPEG",
		"off camera: ", "refuses connections",
		"denied secret: The hub's role may not read the secret",
		"schedule configuration: the edge configuration is not valid",
		"forgets retention: The stream forgets keeps nothing",
		"disk: There is room for", "lower MaxLocalMediaSizeInMB",
	} {
		if !strings.Contains(all.bad(), want) {
			t.Errorf("what is bad lacks %q", want)
		}
	}
	if n := strings.Count(all.bad(), "\n") + 1; n != 7 {
		t.Errorf("%d lines are bad, want 7", n)
	}
	if strings.Contains(all.String(), "hunter2") || strings.Contains(all.String(), "forgotten") {
		t.Error("a password is shown")
	}
	if t.Failed() {
		t.Logf("findings:\n%s", all)
	}
}

func TestDemandsOnTheDisk(t *testing.T) {
	t.Parallel()
	named := desired.Keep{MaxAge: 240 * time.Hour}
	limited := desired.Keep{MaxAge: 240 * time.Hour, MaxBytes: 10_000e6}
	common := desired.Keep{MaxAge: 720 * time.Hour, DeleteAfterUpload: true}
	d := diskNeedOf([]checkedStream{
		{name: "default", wanted: desired.Stream{Keep: common}, bitrate: 8_000_000, share: 0.5},
		{name: "limited", wanted: desired.Stream{Keep: limited}, namesAge: true, bitrate: 8_000_000, share: 1},
	})
	if d.limits != 10_000_000_000 || d.perDay != 1.5*86_400e6 || d.keepDays != 0 {
		t.Errorf("got %+v", d)
	}
	if d = diskNeedOf([]checkedStream{{name: "named", wanted: desired.Stream{Keep: named}, namesAge: true}}); d.keepDays != 10 ||
		d.keeper != "named" {
		t.Errorf("got %+v", d)
	}
}

func TestTheShareOfTheWeekThatAScheduleRecords(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]float64{
		"0 0 9,10,11,12,13,14,15,16 ? * * **": 8. / 24,
		"0 0 9 ? * MON *":                     1. / (7 * 24),
		"0 0 * * * ? *":                       1,
	} {
		s, err := desired.InWindows(expression, time.Hour)
		must(t, err)
		if got := shareOf(s, time.Date(2026, 11, 16, 8, 0, 0, 0, time.UTC)); got < want-0.001 || got > want+0.001 {
			t.Errorf("%s: %.4f, want %.4f", expression, got, want)
		}
	}
}

func TestACheckForetellsWhatTheNextPassDeletes(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now().Truncate(time.Millisecond)
	store, err := segment.Open(segment.Options{Dir: dir})
	must(t, err)
	for i, age := range []time.Duration{40 * 24 * time.Hour, 35 * 24 * time.Hour, 2 * time.Hour} {
		w, err := store.Create("door", mkv.Header{Start: now.Add(-age), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
		must(t, err)
		must(t, w.BeginFragment(0, true))
		must(t, w.WriteFrame(1, 0, true, [][]byte{make([]byte, 3e6)}))
		if i == 2 { // media of more than an hour behind the gap: the clock is believed
			must(t, w.BeginFragment(90*time.Minute, true))
			must(t, w.WriteFrame(1, 90*time.Minute, true, [][]byte{{0}}))
		}
		must(t, w.Seal())
		if i == 0 {
			r, err := store.OpenSegment(w.Key())
			must(t, err)
			list, _, err := r.Fragments()
			must(t, err)
			must(t, r.Close())
			must(t, store.MarkPersisted(w.Key(), list[0]))
			must(t, store.MarkUploaded(w.Key()))
		}
	}
	must(t, store.Close())
	check := func(dir string, free uint64, streams ...checkedStream) Finding {
		var found Finding
		o := Options{Now: time.Now, Report: func(f Finding) { found = f },
			diskFree: func(string) (uint64, uint64, error) { return free, 100e9, nil }}
		c := &checker{o: o, settings: settings.Settings{RecordingDirectory: dir}}
		c.checkDisk(streams)
		return found
	}
	// Nobody configures the stream any more: the two that are older than 30 days go.
	if f := check(dir, 90e9); !f.OK || !strings.Contains(f.Text, "The next pass deletes 6.0 MB, of which 3.0 MB are not uploaded.") {
		t.Errorf("of old media it says %+v", f)
	}
	door := checkedStream{name: "door", invalid: true, bitrate: 8e6, share: 1}
	// The disk lacks more than there is, so that nothing goes for it that is not uploaded: what is old goes.
	if f := check(dir, 0, door); f.OK || !strings.Contains(f.Text, "0.0 hours of what") ||
		!strings.Contains(f.Text, "deletes 6.0 MB, of which 3.0 MB") {
		t.Errorf("of a disk that is full it says %+v", f)
	}
	if f := check(filepath.Join(dir, "none"), 90e9, door); !f.OK ||
		strings.Contains(f.Text, "next pass") || !strings.Contains(f.Text, "86.4 GB a day") {
		t.Errorf("of a hub that has not recorded yet it says %+v", f)
	}
}

// TestACheckNamesTheRightsThatAWSsGuideLacks with the role and the IoT policy of that guide.
func TestACheckNamesTheRightsThatAWSsGuideLacks(t *testing.T) {
	h := newRig(t, func(o *localcloud.Options) { o.AsAWS = true })
	all, ok := h.check()
	for _, right := range []string{"iot:RetainPublish", "kinesisvideo:ListEdgeAgentConfigurations"} {
		if ok || strings.Count(all.bad(), right) != 1 {
			t.Errorf("%s is not named once:\n%s", right, all)
		}
	}
}
