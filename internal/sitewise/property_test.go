package sitewise

import (
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const secretARN = "arn:aws:secretsmanager:us-west-2:123456789012:secret:CameraSecret-0a1b2c3d4e5f-a1B2c3"

// values are those of a camera that always records, with changes; an empty value is none.
func values(changes map[string]string) map[string]string {
	v := map[string]string{StreamName: "door", SecretARN: secretARN, Retention: "60", CaptureStart: "* * * * *", CaptureMinutes: "0",
		LiveStart: "-", LiveMinutes: "0"}
	maps.Copy(v, changes)
	maps.DeleteFunc(v, func(_, text string) bool { return text == "" })
	return v
}

// Row 9 of sitewise.md's section 2: the schedules.
func TestRow9Schedules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ start, minutes, want, note, wrong string }{
		{"", "", "on request only", "", ""},
		{"-", "30", "on request only", "", ""},
		{" - ", "", "on request only", "", ""},
		{"* * * * *", "", "always", "", ""},
		{"*  *\t* * *", "-5", "always", "", ""}, // the duration is ignored
		{"0 8 * * ?", "30", "at 8:00, for 30 min", "", ""},
		{"0 8 ? * MON-FRI", "600", "8:00", "", ""},
		{"0 8 * * ? 2099", "1440", "8:00", "", ""},
		{"0 8 * * ? 2010", "60", "", "", ""}, // in the past: it never comes
		{"0 8 * * ?", "1440", "always", "is not shorter than the time from one start", ""},
		{"0 8 * * ?", "2000", "always", "is not shorter than the time from one start", ""},
		{"* * * * ?", "1", "always", "is not shorter", ""}, // each minute for a minute
		{"0 8,9 * * ?", "90", "8", "windows that overlap are one", ""},
		{"0 8 * * ?", "", "", "", "CaptureDurationInMinutes must be at least 1 minute"},
		{"0 8 * * ?", "0", "", "", `CaptureDurationInMinutes is "0", but must be at least 1 minute`},
		{"0 8 * * ?", "-1", "", "", `CaptureDurationInMinutes is "-1", but must be a whole number of minutes`},
		{"0 8 * * ?", "1.5", "", "", "must be a whole number of minutes"},
		{"0 8 * * ?", "99999999999999999999", "", "", "must be a whole number of minutes"},
		{"0 8 * * *", "30", "", "", `CaptureStartTime is "0 8 * * *", but must be -, * * * * *, or a schedule`}, // no ? in either field
		{"at eight", "30", "", "", `CaptureStartTime is "at eight"`},
		{"0 0 8 * * ? 2030 1", "30", "", "", "CaptureStartTime is"},
		{strings.Repeat("1,", 200) + "1 8 * * ?", "30", "", "", "must have at most 100 characters"},
	} {
		wanted, wrong := Parse(Asset{Values: values(map[string]string{CaptureStart: row.start, CaptureMinutes: row.minutes})})
		var said []string
		for _, w := range wrong {
			said = append(said, w.String())
		}
		if text := strings.Join(said, "; "); row.wrong == "" && text != "" || !strings.Contains(text, row.wrong) {
			t.Errorf("%q for %q: wrong is %q, want %q", row.start, row.minutes, text, row.wrong)
			continue
		}
		if row.wrong != "" {
			continue
		}
		if got := wanted.Capture.String(); !strings.Contains(got, row.want) {
			t.Errorf("%q for %q is %q, want %q", row.start, row.minutes, got, row.want)
		}
		if note := strings.Join(wanted.Notes, "; "); !strings.Contains(note, row.note) || row.note == "" && note != "" {
			t.Errorf("%q for %q: noted %q, want %q", row.start, row.minutes, note, row.note)
		}
	}
}

func TestWrongValuesAreNamedWithTheirRule(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ property, value, want string }{
		{StreamName, "", "KinesisVideoStreamName has no value: it must be the name of a stream"},
		{StreamName, "<Replace with KVS stream name>", "replace the default value of the model"},
		{StreamName, "../etc", `KinesisVideoStreamName is "../etc", but must be the name of a stream`},
		{StreamName, "a\x1b[31m", "but must be the name of a stream"},
		{SecretARN, "", "RTSPStreamSecretARN has no value"},
		{SecretARN, "<Replace with Secret Arn including RTSP Stream URL>", "replace the default value"},
		{SecretARN, "arn:aws:s3:::bucket", "must be the ARN of a secret"},
		{SecretARN, "rtsp://admin:hunter2@10.0.0.7/", "is a URL, but must be the ARN of the secret that holds it"},
		{Retention, "0", `LocalDataRetentionPeriodInMinutes is "0", but must be a whole number of minutes from 1 to`},
		{Retention, "soon", `is "soon"`},
	} {
		_, wrong := Parse(Asset{Values: values(map[string]string{row.property: row.value})})
		if len(wrong) != 1 || !strings.Contains(wrong[0].String(), row.want) || strings.Contains(wrong[0].String(), "hunter2") {
			t.Errorf("%s = %q: %v, want %q", row.property, row.value, wrong, row.want)
		}
	}
	wanted, wrong := Parse(Asset{Values: values(map[string]string{Retention: ""})})
	if len(wrong) > 0 || wanted.Minutes != 60 || wanted.Stream != "door" || wanted.Secret != secretARN {
		t.Errorf("a good one is %+v, %v", wanted, wrong)
	}
}

func TestValuesOfEachTypeAreText(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value cloud.Value
		want  string
		known bool
	}{
		{cloud.Value{}, "", false},
		{cloud.Value{Kind: cloud.Text, Text: " door\n"}, "door", true},
		{cloud.Value{Kind: cloud.Integer, Integer: 1440}, "1440", true},
		{cloud.Value{Kind: cloud.Double, Double: 1440}, "1440", true},
		{cloud.Value{Kind: cloud.Double, Double: 1.5}, "1.5", true},
		{cloud.Value{Kind: cloud.Boolean, Boolean: true}, "true", true},
	} {
		if got, known := textOf(row.value); got != row.want || known != row.known {
			t.Errorf("%+v is %q, %t", row.value, got, known)
		}
	}
}

// Whatever is written to SiteWise is followed or named, in sentences that are fit to be shown.
func FuzzParse(f *testing.F) {
	f.Add("door", secretARN, "60", "* * * * *", "0", "-", "0")
	f.Add("", "", "", "", "", "", "")
	f.Add("<Replace", "rtsp://a:b@c/", "-1", "0 8 * * ?", "1440", "0 0/5 * * ?", "9")
	f.Add("a\x00b", "arn:aws:secretsmanager:x:1:secret:y", "1e9", "0 8 29 2 ?", "5000000", "* * * * ? 2099-2100", "1")
	f.Add("\xff", "\u202e", "9223372036854775808", "L * * * ?", "٣", "0 0 ? * 7#5", "30")
	f.Fuzz(func(t *testing.T, stream, secret, retention, capture, captureMinutes, live, liveMinutes string) {
		a := Asset{Values: map[string]string{StreamName: stream, SecretARN: secret, Retention: retention, CaptureStart: capture,
			CaptureMinutes: captureMinutes, LiveStart: live, LiveMinutes: liveMinutes}}
		wanted, wrong := Parse(a)
		for _, w := range wrong {
			if text := w.String(); !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\n") || len(w.Rule) == 0 {
				t.Errorf("a fault is %q", text)
			}
		}
		if wanted.Stream != "" && !kvslimit.IsStreamName(wanted.Stream) {
			t.Errorf("the stream is %q", wanted.Stream)
		}
		if len(wrong) > 0 {
			return
		}
		if wanted.Stream == "" || wanted.Secret == "" || wanted.Minutes < 1 || wanted.Minutes > maxMinutes {
			t.Errorf("%+v is right", wanted)
		}
		for _, s := range []desired.Schedule{wanted.Capture, wanted.Live} {
			_ = s.String()
			_, _ = s.Plan(0).At(time.Unix(1_800_000_000, 0), time.UTC)
		}
	})
}

// A camera records in windows of its own and while it is live, without a restart in between where that can be.
func TestRow10RecordingIsForBothWindows(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time {
		return time.Unix(1_800_000_000, 0).Add(time.Duration(minute) * time.Minute)
	}
	var w window
	for i, step := range []struct {
		requested, inWindow, records bool
		always                       bool
		since                        int // minute; -1: it is not live
	}{
		{false, false, false, false, -1},
		{true, false, false, true, 1}, // live alone records too
		{true, false, true, true, 1},  // the window of the recording opens: it continues
		{false, false, true, true, -1},
		{false, false, false, false, -1},
		{false, false, true, false, -1}, // by its own schedule
		{false, true, true, false, 6},   // live in it leaves the recording alone
		{false, true, false, true, 6},   // the window of the recording ends
		{true, false, false, true, 6},   // a request follows upon the window
		{false, false, false, false, -1},
	} {
		w = w.next(at(i), at(i), step.requested, step.inWindow, step.records)
		since := int64(0)
		if step.since >= 0 {
			since = at(step.since).UnixMilli()
		}
		if w.always != step.always || w.since != since {
			t.Errorf("step %d: %+v, want %+v", i, w, step)
		}
	}
}
