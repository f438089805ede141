package localapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
)

func TestHoldsOverTheAPI(t *testing.T) {
	t.Parallel()
	store := door(t, 0)
	var by []string
	a := serveOptions(t, Options{Store: store, Agent: Agent{
		AddHold: func(ctx context.Context, r HoldRequest, who string) (Hold, error) {
			by = append(by, who)
			h, err := hold.Complete(hold.Hold{ID: r.ID, Stream: r.Stream, From: r.From, To: r.To, Reason: r.Reason, Source: who}, r.From)
			if err != nil {
				return Hold{}, err
			}
			kept, err := store.Holding().Add(ctx, h)
			return HoldOf(kept), err
		},
		RemoveHold: func(id, who string) (Hold, error) {
			by = append(by, who)
			_, err := store.Holding().Remove(id, who, time.Now())
			return Hold{ID: id}, err
		},
	}})
	ask := func(method, path, content string) (int, string, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := a.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text := body(t, resp)
		return resp.StatusCode, resp.Header.Get(ErrorHeader), text
	}
	asked := `{"id":"one","stream":"door","from":"2026-11-21T04:00:00Z","to":"2026-11-21T05:00:00Z","reason":"theft"}`
	for range 2 {
		status, _, text := ask(http.MethodPost, pathHolds, asked)
		var added Hold
		if err := json.Unmarshal([]byte(text), &added); err != nil || status != http.StatusOK || added.ID != "one" || added.Segments == 0 {
			t.Fatalf("%d %s", status, text)
		}
	}
	status, _, text := ask(http.MethodGet, pathHolds+"?stream=door", "")
	var list []Hold
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != http.StatusOK || len(list) != 1 || list[0].Reason != "theft" {
		t.Fatalf("%d %s", status, text)
	}
	if _, _, text := ask(http.MethodGet, pathSegments+"?stream=door", ""); !strings.Contains(text, `"held":true`) {
		t.Errorf("the segments do not show it: %s", text)
	}
	for _, row := range []struct{ method, path, body, code, says string }{
		{http.MethodPost, pathHolds, "no JSON", codeRefused, "not the JSON of a hold"},
		{http.MethodPost, pathHolds, `{"stream":7}`, codeRefused, "the request is not the JSON of a hold: stream must be a text"},
		{http.MethodPost, pathHolds, `{"stream":"door"}`, hold.CodeRequest, "a start that is before its end"},
		{http.MethodPost, pathHolds, strings.Replace(asked, "05:00", "06:00", 1), hold.CodeRequest, "another hold with the ID one"},
		{http.MethodDelete, pathHolds, "", codeParameter, "hold"},
		{http.MethodDelete, pathHolds + "?hold=none", "", hold.CodeRequest, "no hold with the ID none"},
	} {
		status, code, text := ask(row.method, row.path, row.body)
		if status != http.StatusBadRequest || code != row.code || !strings.Contains(text, row.says) {
			t.Errorf("%s %s %q: %d %s %s", row.method, row.path, row.body, status, code, text)
		}
	}
	if status, _, text := ask(http.MethodDelete, pathHolds+"?hold=one", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	for _, who := range by {
		if want := fmt.Sprintf("uid %d", os.Getuid()); !strings.Contains(who, want) {
			t.Errorf("%q asked, want %s", who, want)
		}
	}
}
