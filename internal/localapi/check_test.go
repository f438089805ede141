package localapi

import (
	"net/http"
	"testing"
)

func TestACheckAnswersWithALineForEachResult(t *testing.T) {
	t.Parallel()
	a := serveOptions(t, Options{Agent: whole(func(string) {})})
	text, status := send(t, a.http, http.MethodPost, "http://agent/v1/check", "")
	want := `{"check":"disk","ok":true,"text":"There is room."}` + "\n" + `{"ok":false,"error":"the check was ended"}` + "\n"
	if status != http.StatusOK || text != want {
		t.Errorf("it is answered with %d: %s, want %s", status, text, want)
	}
	b := serveOptions(t, Options{Agent: Agent{}})
	if text, status := send(t, b.http, http.MethodPost, "http://agent/v1/check", ""); status != http.StatusNotFound {
		t.Errorf("an agent without checks answers with %d: %s", status, text)
	}
}
