package connector_test

import (
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connector"
)

func TestWrongPlansAreRefusedWithASentence(t *testing.T) {
	t.Parallel()
	if p, err := connector.ReadPlan(strings.NewReader(yard)); err != nil || *p.RetentionHours != 168 || p.Cameras[0].URL.Reveal() == "" {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"no hub":              {`"hub": "Yard"`, `"hub": ""`, "hub has no name"},
		"a line break":        {`"hub": "Yard"`, `"hub": "Ya\nrd"`, "hub has a name that an asset cannot have"},
		"another workspace":   {`"workspace": "yard"`, `"workspace": "a b"`, `workspace is "a b", but must be the id of a workspace`},
		"no cameras":          {`"cameras": [`, `"cameras": [], "streamRetentionHours": [`, "streamRetentionHours must be a whole number"},
		"retention":           {`"cameras": [`, `"streamRetentionHours": -1, "cameras": [`, "streamRetentionHours is -1, but must be 0 to 87600"},
		"an unknown member":   {`"stream": "gate"`, `"streem": "gate"`, `it has a member "streem", which is not known`},
		"no stream":           {`"stream": "gate"`, `"stream": ""`, `camera 2: stream is "", but must be the name of a stream`},
		"a stream twice":      {`"stream": "gate"`, `"stream": "front-door"`, `camera 2: stream is "front-door", as that of another camera`},
		"a name twice":        {`"name": "Gate"`, `"name": "Front door"`, `camera 2: name is "Front door", as that of another camera`},
		"no URL":              {`"url": "rtsp://user:hunter2@10.0.0.5/stream1", `, ``, "camera 1: it must have either url or secretArn"},
		"another URL":         {`rtsp://user:hunter2@`, `ftp://user:hunter2@`, "camera 1: url is not the URL of a camera"},
		"another ARN":         {`arn:aws:secretsmanager`, `arn:aws:s3`, "camera 2: secretArn is not the ARN of a secret"},
		"a negative duration": {`"liveMinutes": 60`, `"liveMinutes": -60`, "camera 2: liveMinutes is -60, but must be 0 to"},
		"a text for a number": {`"liveMinutes": 60`, `"liveMinutes": "60"`, "liveMinutes must be a whole number"},
		"a wrong schedule":    {`0 8 ? * MON-FRI`, `at eight`, `camera 2: liveStart is "at eight", but must be`},
		"an empty schedule":   {`0 8 ? * MON-FRI`, ``, `camera 2: liveStart is "", but must be`},
		"no JSON":             {`"hub"`, `hub`, "it is not JSON, at byte"},
		"more behind it":      {"\t]\n}", "\t]\n}{}", "something follows its end"},
	} {
		text := strings.Replace(yard, c.from, c.to, 1)
		if text == yard {
			t.Errorf("%s changes nothing", name)
		}
		if _, err := connector.ReadPlan(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// FuzzReadPlan reads files of anybody.
func FuzzReadPlan(f *testing.F) {
	f.Add(yard)
	f.Add(`{"hub": "a", "cameras": [{}]}`)
	f.Add(`{"cameras": null}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := connector.ReadPlan(strings.NewReader(text))
		if err == nil && (p.Hub == "" || len(p.Cameras) == 0 || p.RetentionHours == nil) {
			t.Errorf("%q is read as %+v", text, p)
		}
	})
}
