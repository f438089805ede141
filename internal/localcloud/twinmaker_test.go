package localcloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// twinMaker sends a request and returns what was answered.
func (s *swSite) twinMaker(method, path, body string) (status int, out map[string]any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.Endpoint()+path, strings.NewReader(body))
	must(s.t, err)
	status, answer := sendSigned(s.t, s.Cloud, r, "iottwinmaker", []byte(body))
	must(s.t, json.Unmarshal(answer, &out))
	return status, out
}

// dig returns a member of a member of …; nil = there is none.
func dig(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// The entity of a camera has what AWS's player looks for: the asset, and the ids of three properties.
func TestTheEntityOfACamera(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	status, out := s.twinMaker("GET", "/workspaces/yard/entities/"+s.camera, "")
	component := dig(out, "components", "EdgeVideo")
	if status != 200 || dig(component, "componentTypeId") != "com.amazon.iotsitewise.connector.edgevideo" ||
		dig(component, "properties", "sitewiseAssetId", "value", "stringValue") != s.camera {
		t.Fatalf("the entity is %v", out)
	}
	for _, name := range []string{"VideoUploadedTimeRange", "VideoUploadRequest", "KinesisVideoStreamName"} {
		if id := dig(component, "properties", name, "definition", "configuration", "sitewisePropertyId"); id != s.props[name] {
			t.Errorf("the id of %s is %v, want %s", name, id, s.props[name])
		}
	}
}

func TestTheHistoryOfAnEntity(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	for i := range 5 {
		_, err := s.put(false, s.entry("VideoUploadedTimeRange", s.value(time.Duration(i-4)*time.Minute, double(float64(i)))))
		must(t, err)
		bad := s.value(time.Duration(i-4)*time.Minute+time.Second, double(9))
		bad.Quality = types.QualityBad
		_, err = s.put(false, s.entry("VideoUploadedTimeRange", bad), s.entry("CachedVideoAgeOutOnEdge",
			s.value(time.Duration(i-4)*time.Minute, double(float64(10+i)))))
		must(t, err)
	}
	at := func(offset time.Duration) string { return s.clock.Now().Add(offset).Format("2006-01-02T15:04:05.000Z") }
	for _, row := range []struct{ members, want string }{
		{fmt.Sprintf(`"startTime":%q,"endTime":%q`, at(-3*time.Minute-time.Millisecond), at(0)), "1 2 3 4"},
		{fmt.Sprintf(`"startTime":%q,"endTime":%q`, at(-3*time.Minute), at(-time.Minute)), "2 3"},
		{fmt.Sprintf(`"startTime":%q,"endTime":%q,"orderByTime":"DESCENDING","maxResults":2`, at(-time.Hour), at(0)), "4 3 2 1 0"},
		{fmt.Sprintf(`"startDateTime":%d,"endDateTime":%d,"maxResults":1`, s.clock.Now().Unix()-120, s.clock.Now().Unix()), "3 4"},
	} {
		got, next := []string{}, ""
		for pages := 0; pages == 0 || next != ""; pages++ {
			body := fmt.Sprintf(`{"entityId":%q,"componentName":"EdgeVideo","selectedProperties":["VideoUploadedTimeRange"],%s,"nextToken":%q}`,
				s.camera, row.members, next)
			status, out := s.twinMaker("POST", "/workspaces/yard/entity-properties/history", body)
			if status != 200 {
				t.Fatalf("%s: %d %v", body, status, out)
			}
			history := out["propertyValues"].([]any)[0]
			for _, v := range dig(history, "values").([]any) {
				got = append(got, fmt.Sprint(dig(v, "value", "doubleValue")))
			}
			next, _ = out["nextToken"].(string)
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: %q, want %q", row.members, got, row.want)
		}
	}
	both := fmt.Sprintf(`{"entityId":%q,"componentName":"EdgeVideo","selectedProperties":`+
		`["VideoUploadedTimeRange","CachedVideoAgeOutOnEdge"],`+
		`"startTime":%q,"endTime":%q}`, s.camera, at(-time.Hour), at(0))
	if _, out := s.twinMaker("POST", "/workspaces/yard/entity-properties/history", both); len(out["propertyValues"].([]any)) != 2 {
		t.Errorf("the history of two properties is %v", out)
	}
}

func TestWhatTwinMakerRefuses(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	const times = `"startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-02T00:00:00.000Z"`
	camera := `"entityId":"` + s.camera + `","componentName":"EdgeVideo"`
	uploaded := `{` + camera + `,"selectedProperties":["VideoUploadedTimeRange"]`
	for name, row := range map[string]struct {
		method, path, body string
		status             int
	}{
		"another workspace":  {"GET", "/workspaces/nobodys/entities/" + s.camera, "", 404},
		"another entity":     {"GET", "/workspaces/yard/entities/" + s.hub, "", 404},
		"an id with a space": {"GET", "/workspaces/a%20b/entities/" + s.camera, "", 400},
		"another operation":  {"GET", "/workspaces/yard", "", 404},
		"another component": {"POST", "", `{"entityId":"` + s.camera + `","componentName":"x","selectedProperties":["a"],` +
			times + `}`, 404},
		"no property":           {"POST", "", `{` + camera + `,"selectedProperties":[],` + times + `}`, 400},
		"another property":      {"POST", "", `{` + camera + `,"selectedProperties":["a"],` + times + `}`, 400},
		"no entity":             {"POST", "", `{"selectedProperties":["VideoUploadedTimeRange"],` + times + `}`, 400},
		"no times":              {"POST", "", uploaded + `}`, 400},
		"201 results":           {"POST", "", uploaded + `,"maxResults":201,` + times + `}`, 400},
		"a token of nobody":     {"POST", "", uploaded + `,"nextToken":"x",` + times + `}`, 400},
		"a body that is a list": {"POST", "", `[]`, 400},
	} {
		path := row.path
		if path == "" {
			path = "/workspaces/yard/entity-properties/history"
		}
		if status, out := s.twinMaker(row.method, path, row.body); status != row.status || out["message"] == "" {
			t.Errorf("%s: %d %v, want %d", name, status, out, row.status)
		}
	}
}

// The AWS CLI finds the entity of a camera.
func TestTheAWSCLIWorksWithTwinMaker(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "aws")
	s := newSiteWise(t, Options{})
	command := []string{"-i", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for _, v := range s.UserEnv() {
		command = append(command, v.Name+"="+v.Value)
	}
	out := foreign(t, nil, t.TempDir(), "env", append(command, "aws", "iottwinmaker", "get-entity", "--workspace-id", "yard",
		"--entity-id", s.camera,
		"--query", "components.EdgeVideo.componentTypeId", "--output", "text")...)
	if got := strings.TrimSpace(string(out)); got != "com.amazon.iotsitewise.connector.edgevideo" {
		t.Errorf("the component is of type %s", got)
	}
}
