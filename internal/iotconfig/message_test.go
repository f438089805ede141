package iotconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

const (
	testThing  = configtest.Thing
	testHub    = configtest.Hub
	testSecret = configtest.Secret
	testEdge   = configtest.EdgeConfig
)

func streamARN(stream string) string { return configtest.StreamARN(stream) }

// updateOf is a good config/update message.
func updateOf(stream string, at float64) []byte {
	return fmt.Appendf(nil, `{"StreamName":%q,"StreamARN":%q,"CreationTime":1.6e9,"LastUpdatedTime":%.3f,"EdgeConfig":%s}`, stream,
		streamARN(stream), at, testEdge)
}

func deleteOf(stream string, at float64) []byte {
	return fmt.Appendf(nil, `{"StreamName":%q,"StreamARN":%q,"LastUpdatedTime":%.3f}`, stream, streamARN(stream), at)
}

func TestAGoodUpdateIsRead(t *testing.T) {
	t.Parallel()
	c, err := parseUpdate(updateOf("front-door", 1700000000.123))
	if err != nil {
		t.Fatal(err)
	}
	if c.StreamName != "front-door" || c.StreamARN != streamARN("front-door") || !c.LastUpdated.Equal(time.UnixMilli(1700000000123)) ||
		c.Config.HubDeviceArn != testHub || c.Config.RecorderConfig.MediaSourceConfig.MediaUriSecretArn != testSecret {
		t.Errorf("got %+v", c)
	}
}

// badMessages are config/update messages that must be refused; stream and at are the stream and time that they still
// show.
func badMessages() []badMessage {
	with := func(member, value string) string {
		members := map[string]string{"StreamName": `"cam"`, "StreamARN": fmt.Sprintf("%q", streamARN("cam")),
			"LastUpdatedTime": "1700000000.5", "EdgeConfig": testEdge}
		members[member] = value
		var parts []string
		for _, name := range []string{"StreamName", "StreamARN", "LastUpdatedTime", "EdgeConfig"} {
			if members[name] != "" {
				parts = append(parts, fmt.Sprintf("%q:%s", name, members[name]))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	edge := func(old, replacement string) string {
		return with("EdgeConfig", strings.Replace(testEdge, old, replacement, 1))
	}
	at := time.UnixMilli(1700000000500)
	return []badMessage{
		{"empty", "", "", time.Time{}, "not JSON"},
		{"binary", "\x00\xff\x10", "", time.Time{}, "not JSON"},
		{"text", "hello", "", time.Time{}, "not JSON"},
		{"cut off", string(updateOf("cam", 1700000000))[:80], "", time.Time{}, "not JSON"},
		{"two documents", string(updateOf("cam", 1700000000)) + "{}", "", time.Time{}, "not JSON"},
		{"list", "[]", "", time.Time{}, "not a JSON object"},
		{"string", `"x"`, "", time.Time{}, "not a JSON object"},
		{"null", "null", "", time.Time{}, "StreamName is missing"},
		{"empty object", "{}", "", time.Time{}, "StreamName is missing"},
		{"deep", strings.Repeat("[", 100_000), "", time.Time{}, "not JSON"},
		{"name missing", with("StreamName", ""), "", time.Time{}, "StreamName is missing"},
		{"name a number", with("StreamName", "5"), "", time.Time{}, "StreamName is missing or not a string"},
		{"name with a slash", with("StreamName", `"../etc"`), "", time.Time{}, "StreamName must have"},
		{"name of dots", with("StreamName", `".."`), "", time.Time{}, "not only dots"},
		{"name too long", with("StreamName", `"`+strings.Repeat("x", 257)+`"`), "", time.Time{}, "1 to 256"},
		{"name with a line end", with("StreamName", `"cam\n"`), "", time.Time{}, "StreamName must have"},
		{"ARN a number", with("StreamARN", "5"), "cam", at, "StreamARN must be a string"},
		{"ARN of another stream", with("StreamARN", fmt.Sprintf("%q", streamARN("other"))), "cam", at, "not that of stream cam"},
		{"ARN of another service", with("StreamARN", `"arn:aws:s3:::cam"`), "cam", at, "not that of stream cam"},
		{"time missing", with("LastUpdatedTime", ""), "cam", time.Time{}, "LastUpdatedTime is missing"},
		{"time a string", with("LastUpdatedTime", `"yesterday"`), "cam", time.Time{}, "must be a time in seconds"},
		{"time in milliseconds", with("LastUpdatedTime", "1700000000500"), "cam", time.Time{}, "must be a time in seconds"},
		{"time negative", with("LastUpdatedTime", "-5"), "cam", time.Time{}, "must be a time in seconds"},
		{"time zero", with("LastUpdatedTime", "0"), "cam", time.Time{}, "must be a time in seconds"},
		{"configuration missing", with("EdgeConfig", ""), "cam", at, "EdgeConfig is missing"},
		{"configuration null", with("EdgeConfig", "null"), "cam", at, "EdgeConfig is missing"},
		{"configuration a string", with("EdgeConfig", `"x"`), "cam", at, "must be an object"},
		{"hub a number", edge(`"`+testHub+`"`, "5"), "cam", at, "HubDeviceArn is the number 5"},
		{"recorder a list", with("EdgeConfig", `{"HubDeviceArn":"x","RecorderConfig":[]}`), "cam", at, "RecorderConfig is a list"},
		{"oversized", with("EdgeConfig", `{"Padding":"`+strings.Repeat("x", kvslimit.MessageBytes)+`"}`), "cam", at,
			"at most 131072 are allowed"},
		{"far oversized", `{"StreamName":"cam","Padding":"` + strings.Repeat("x", 8*kvslimit.MessageBytes) + `"}`, "", time.Time{},
			"at most 131072 are allowed"},
	}
}

type badMessage struct {
	name, payload, stream string
	at                    time.Time
	says                  string
}

func TestBadMessagesAreRefused(t *testing.T) {
	t.Parallel()
	rows := badMessages()
	if len(rows) < 20 {
		t.Fatalf("only %d bad messages", len(rows))
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseUpdate([]byte(row.payload))
			var why *edgeconfig.Refusal
			if !errors.As(err, &why) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if why.Stream != row.stream || !why.LastUpdated.Equal(row.at) || !strings.Contains(why.Text, row.says) {
				t.Errorf("got stream %q, time %v: %s\nwant stream %q, time %v, with %q", why.Stream, why.LastUpdated, why.Text, row.stream, row.at,
					row.says)
			}
		})
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(updateOf("front-door", 1700000000.123))
	f.Add(deleteOf("front-door", 1700000000.123))
	for _, row := range badMessages() {
		if len(row.payload) < 10_000 {
			f.Add([]byte(row.payload))
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var why *edgeconfig.Refusal
		if c, err := parseUpdate(payload); err == nil {
			if c.StreamName == "" || strings.ContainsAny(c.StreamName, "/\x00") || c.LastUpdated.IsZero() {
				t.Fatalf("accepted %+v", c)
			}
			if _, err := json.Marshal(syncDocument(edgeconfig.SyncStatus{StreamName: c.StreamName, LastUpdated: c.LastUpdated},
				time.Now())); err != nil {
				t.Fatalf("cannot be answered: %v", err)
			}
		} else if !errors.As(err, &why) || why.Text == "" {
			t.Fatalf("%v is not a refusal with a text", err)
		}
		if _, err := parseDelete(payload); err != nil && !errors.As(err, &why) {
			t.Fatalf("%v is not a refusal", err)
		}
	})
}
