package logevent

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

var (
	phrase   = regexp.MustCompile(`^([A-Za-z][a-z.]*[A-Z0-9][A-Za-z]*|[a-z]([a-z0-9'/,;().-][A-Za-z0-9'/,;().-]*)?)( [A-Za-z0-9'/,;().-]+)+$`)
	sentence = regexp.MustCompile("^[A-Z`].*\\.$")
)

func TestMessagesArePlainPhrases(t *testing.T) {
	t.Parallel()
	messages := make(map[string]string)
	check := func(name, message string) {
		if !phrase.MatchString(message) || strings.HasSuffix(message, ".") || len(message) > 100 {
			t.Errorf("%s: %q does not begin with small letters, is one word, or ends with a full stop", name, message)
		}
		if other := messages[message]; other != "" {
			t.Errorf("%s and %s are both %q", name, other, message)
		}
		messages[message] = name
	}
	for _, g := range Groups {
		for _, row := range g.Rows {
			check(string(row.Event), row.Message)
			if _, ok := health.Declared(string(row.Event)); ok {
				t.Errorf("%s is the code of a condition", row.Event)
			}
			if !sentence.MatchString(row.Help) {
				t.Errorf("%s: %q does not consist of sentences", row.Event, row.Help)
			}
			if row.Level > zapcore.InfoLevel && strings.Count(row.Help, " ") < 4 {
				t.Errorf("%s: %q does not say what to do", row.Event, row.Help)
			}
		}
	}
	for _, d := range health.Declarations {
		check(d.Code, messageOf(d))
	}
	for code := range levels {
		if d, ok := health.Declared(code); !ok || d.Code != code {
			t.Errorf("a level is set for %s, which is not a condition", code)
		}
	}
}

// A condition's message has its title with a small letter, but a name stays as it is written.
func TestNamesAtTheBeginningOfATitleStay(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"Camera's clock is not used":                "camera's clock is not used",
		"No connection to CloudWatch":               "no connection to CloudWatch",
		"AWS IoT SiteWise cannot be reached":        "AWS IoT SiteWise cannot be reached",
		"SiteWise refuses rows of a camera's video": "SiteWise refuses rows of a camera's video",
		"MQTT, and what it needs":                   "MQTT, and what it needs",
		"URLs are not kept":                         "URLs are not kept",
		"KVS's answer is not understood":            "KVS's answer is not understood",
		"DeleteAfterUpload waits":                   "DeleteAfterUpload waits",
		"eMMC is worn":                              "eMMC is worn",
		"Kinesis Video Streams answers nothing":     "Kinesis Video Streams answers nothing",
		"Greengrass's token is refused":             "Greengrass's token is refused",
		"A title":                                   "a title",
		"H.264 only":                                "H.264 only",
		"":                                          "",
	} {
		if got := messageOf(health.Declaration{Title: title}); got != want {
			t.Errorf("the message of %q is %q, want %q", title, got, want)
		}
	}
	for _, d := range health.Declarations {
		if d.Title != "" && strings.Contains(messageOf(d), "siteWise") {
			t.Errorf("the message of %s is %q", d.Code, messageOf(d))
		}
	}
}

func TestLinesHaveTheFieldsOfTheirEvent(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zap.InfoLevel)
	log := zap.New(core).With(zap.String(KeyStream, "door"))
	for _, g := range Groups {
		for _, row := range g.Rows {
			row.Event.Log(log, zap.Int("n", 1))
			line := lines.TakeAll()
			if len(line) != 1 || line[0].Level != row.Level || line[0].Message != row.Message ||
				line[0].ContextMap()[KeyEvent] != string(row.Event) || line[0].ContextMap()["n"] != int64(1) {
				t.Errorf("%s: %+v", row.Event, line)
			}
		}
	}
	for _, d := range health.Declarations {
		cause := errors.New("a cause")
		Condition(log, health.UserFault(d.Code+"/door", cause, "A sentence."), zap.String("file", "x"))
		line := lines.TakeAll()
		if len(line) != 1 || line[0].Level != LevelOf(d.Code) {
			t.Errorf("%s: %+v", d.Code, line)
			continue
		}
		got := line[0].ContextMap()
		for key, want := range map[string]string{
			KeyEvent: d.Code, KeyCode: d.Code + "/door", KeyClass: "USER_ERROR", KeyError: "A sentence.", KeyCause: "a cause", KeyStream: "door",
			"file": "x",
		} {
			if got[key] != want {
				t.Errorf("%s: %s is %v, want %q", d.Code, key, got[key], want)
			}
		}
	}
	Condition(log, health.SystemFault("cloud", nil, "Only an answer."))
	got := lines.TakeAll()[0].ContextMap()
	if _, has := got[KeyCause]; has || got[KeyEvent] != "cloud" || got[KeyError] != "Only an answer." {
		t.Errorf("a fault that is not a condition, without a cause: %v", got)
	}
}
