package request

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// Row 15: the grammar of requests.
func TestRow15Grammar(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, from, to, wrong string }{
		{"1795867200000-1795867500000", "2026-11-28T12:00:00Z", "2026-11-28T12:05:00Z", ""},
		{" 1795863600000-1795863600001\n", "2026-11-28T11:00:00Z", "2026-11-28T11:00:00.001Z", ""},
		{"1795863600000-1795953600000", "2026-11-28T11:00:00Z", "2026-11-29T12:00:00Z", ""},
		{"1795863600000-1795953600001", "", "", "must end within 24 h from now"},
		{"1795867500000-1795867200000", "", "", "must have an end that is after its start"},
		{"1795867200000-1795867200000", "", "", "must have an end that is after its start"},
		{"1795867200-1795867500", "", "", "must have times in milliseconds since 1970"},
		{"0-9999999999999999", "", "", "must have times in milliseconds since 1970"},
		{"1795867200000 - 1795867500000", "", "", "must be live, or a start and an end"},
		{"1795867200000-", "", "", "must be live, or a start and an end"},
		{"-1-2", "", "", "must be live"},
		{"1e12-2e12", "", "", "must be live"},
		{"", "", "", "must be live"},
		{"livee", "", "", "must be live"},
	} {
		w, wrong := parse(row.text, noon)
		if wrong != row.wrong && (row.wrong == "" || !strings.HasPrefix(wrong, row.wrong)) || w.live {
			t.Errorf("%q: %+v, %q, want %q", row.text, w, wrong, row.wrong)
		}
		if wrong == "" && (w.from.Format(time.RFC3339Nano) != row.from || w.to.Format(time.RFC3339Nano) != row.to) {
			t.Errorf("%q is from %s to %s", row.text, w.from, w.to)
		}
	}
	for _, text := range []string{"live", "LIVE", " Live\n"} {
		if w, wrong := parse(text, noon); !w.live || wrong != "" {
			t.Errorf("%q is %+v, %q", text, w, wrong)
		}
	}
}

// Row 14: the notifications of SiteWise, also with several values and with odd ones.
func TestRow14Notifications(t *testing.T) {
	t.Parallel()
	property, list, ok := parseNotification([]byte(`{"type":"PropertyValueUpdate","payload":{"assetId":"a","propertyId":"p",
		"values":[
		{"timestamp":{"timeInSeconds":1795867200,"offsetInNanos":500},"quality":"GOOD","value":{"stringValue":"live"}},
		{"timestamp":{"timeInSeconds":1795867201.5},"quality":"GOOD","value":{"stringValue":"1-2"}},
		{"timestamp":{"timeInSeconds":1795867202},"quality":"GOOD","value":{"doubleValue":1}}]}}`))
	if !ok || property != "p" || len(list) != 2 || list[0] != (arrival{"a", noon.Add(500), "live"}) ||
		list[1] != (arrival{"a", noon.Add(time.Second), "1-2"}) {
		t.Errorf("it has %q, %+v, %t", property, list, ok)
	}
	long := `{"payload":{"assetId":"` + strings.Repeat("x", maxMessage) + `"}}`
	for _, text := range []string{"", "[]", "{}", `{"payload":{"assetId":7}}`, long} {
		if _, list, ok := parseNotification([]byte(text)); ok {
			t.Errorf("%.40s is %+v", text, list)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"live", "1795867200000-1795867500000", "1-2", "\xff-\x00", strings.Repeat("9", 40) + "-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, wrong := parse(text, noon)
		if !utf8.ValidString(shown(text)) || strings.ContainsAny(shown(text), "\x00\x1b\n") {
			t.Errorf("%q is shown as %q", text, shown(text))
		}
		if (wrong == "") != (w.live || w.from.Before(w.to)) && wrong == "" {
			t.Errorf("%q is %+v", text, w)
		}
	})
}

func FuzzNotification(f *testing.F) {
	f.Add([]byte(`{"payload":{"assetId":"a","propertyId":"p","values":[{"timestamp":{"timeInSeconds":1e300},` +
		`"value":{"stringValue":"live"}}]}}`))
	f.Add([]byte(`{"payload":{"assetId":"a","values":[null,{}]}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, list, ok := parseNotification(payload)
		for _, a := range list {
			if !ok || a.Asset == "" || a.Time.Year() < 1970 || a.Time.Year() > 2201 {
				t.Errorf("%q has %+v", payload, a)
			}
		}
	})
}
