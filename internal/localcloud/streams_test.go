package localcloud

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// ask posts a request of the control plane, which needs no client that knows the operation.
func ask(t *testing.T, c *Cloud, operation, body string) (code string, out map[string]any) {
	t.Helper()
	path := "/" + strings.ToLower(operation[:1]) + operation[1:]
	if o := kvsmodel.ByName(operation); o != nil {
		path = o.Path
	}
	status, answer := rawKVS(t, c, path, []byte(body))
	if (status == http.StatusOK) != (answer.Code == "") {
		t.Errorf("%s is answered with HTTP status %d and %q", operation, status, answer.Code)
	}
	must(t, json.Unmarshal(answer.body, &out))
	return answer.Code, out
}

// succeed is ask for what must succeed.
func succeed(t *testing.T, c *Cloud, operation, body string) map[string]any {
	t.Helper()
	code, out := ask(t, c, operation, body)
	if code != "" {
		t.Fatalf("%s %s is answered with %s: %v", operation, body, code, out["Message"])
	}
	return out
}

func statusOf(t *testing.T, c *Cloud, stream string) string {
	t.Helper()
	code, out := ask(t, c, "DescribeStream", `{"StreamName":"`+stream+`"}`)
	if code != "" {
		return code
	}
	return out["StreamInfo"].(map[string]any)["Status"].(string)
}

func TestStatusesOfAStreamPassByTheClock(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := t.TempDir()
	c, err := Start(Options{Dir: dir, Now: clock.Now, StreamDelay: 2 * time.Second})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	restart := func() {
		must(t, c.Close())
		c, err = Start(Options{Dir: dir, Now: clock.Now, StreamDelay: time.Hour})
		must(t, err)
	}
	arn := succeed(t, c, "CreateStream", `{"StreamName":"cam","DataRetentionInHours":24}`)["StreamARN"].(string)
	step := func(restarts bool, advance time.Duration, want string) {
		t.Helper()
		if restarts {
			restart()
		}
		clock.advance(advance)
		if got := statusOf(t, c, "cam"); got != want {
			t.Errorf("the stream is %s, want %s", got, want)
		}
	}
	step(false, 0, "CREATING")
	step(true, time.Second, "CREATING")
	step(true, time.Second, "ACTIVE")
	must(t, c.Close())
	c, err = Start(Options{Dir: dir, Now: clock.Now, StreamDelay: 2 * time.Second})
	must(t, err)
	version := succeed(t, c, "DescribeStream", `{"StreamName":"cam"}`)["StreamInfo"].(map[string]any)["Version"].(string)
	succeed(t, c, "UpdateStream", `{"StreamName":"cam","CurrentVersion":"`+version+`","DeviceName":"d"}`)
	step(true, time.Second, "UPDATING")
	step(true, time.Second, "ACTIVE")
	succeed(t, c, "DeleteStream", `{"StreamARN":"`+arn+`"}`)
	step(true, 59*time.Minute, "DELETING")
	if code, _ := ask(t, c, "CreateStream", `{"StreamName":"cam"}`); code != kvsmodel.ResourceInUse {
		t.Errorf("the name of a stream that is being deleted: %q", code)
	}
	step(true, time.Minute, "ResourceNotFoundException")
	next := succeed(t, c, "CreateStream", `{"StreamName":"cam"}`)["StreamARN"]
	if next == arn {
		t.Errorf("a stream of the same name has the ARN of the former one, %s", arn)
	}
}

// whatStatusesAnswer lists, for each operation, the error while a stream is CREATING, UPDATING and
// DELETING.
func whatStatusesAnswer() map[string]struct {
	body   string
	errors [3]string
} {
	const (
		none    = ""
		inUse   = kvsmodel.ResourceInUse
		missing = kvsmodel.ResourceNotFound
		named   = `"StreamName":"cam"`
		version = named + `,"CurrentVersion":"1"`
	)
	type row = struct {
		body   string
		errors [3]string
	}
	changes, needs, shows := [3]string{inUse, inUse, inUse}, [3]string{none, none, missing}, [3]string{none, none, none}
	return map[string]row{
		"CreateStream":        {named, changes},
		"DescribeStream":      {named, shows},
		"ListStreams":         {``, shows},
		"DeleteStream":        {`"StreamARN":"ARN"`, changes},
		"UpdateStream":        {version, changes},
		"UpdateDataRetention": {version + `,"Operation":"INCREASE_DATA_RETENTION","DataRetentionChangeInHours":1`, changes},
		"GetDataEndpoint":     {named + `,"APIName":"PUT_MEDIA"`, needs},

		"TagStream":           {named + `,"Tags":{"a":"b"}`, needs},
		"UntagStream":         {named + `,"TagKeyList":["a"]`, needs},
		"ListTagsForStream":   {named, needs},
		"TagResource":         {`"ResourceARN":"ARN","Tags":[{"Key":"a","Value":"b"}]`, needs},
		"UntagResource":       {`"ResourceARN":"ARN","TagKeyList":["a"]`, needs},
		"ListTagsForResource": {`"ResourceARN":"ARN"`, needs},

		"UpdateImageGenerationConfiguration":   {named, changes},
		"DescribeImageGenerationConfiguration": {named, needs},
		"UpdateNotificationConfiguration":      {named, changes},
		"DescribeNotificationConfiguration":    {named, needs},
		"UpdateStreamStorageConfiguration":     {version + `,"StreamStorageConfiguration":{"DefaultStorageTier":"WARM"}`, changes},
		"DescribeStreamStorageConfiguration":   {named, needs},

		"StartEdgeConfigurationUpdate": {named + `,"EdgeConfig":` + goodEdgeConfig, changes},
		"DescribeEdgeConfiguration":    {named, [3]string{kvsmodel.EdgeConfigMissing, kvsmodel.EdgeConfigMissing, missing}},
		"DeleteEdgeConfiguration":      {named, [3]string{kvsmodel.EdgeConfigMissing, kvsmodel.EdgeConfigMissing, missing}},
		"ListEdgeAgentConfigurations":  {`"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-1"`, shows},
	}
}

const goodEdgeConfig = `{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-1","RecorderConfig":{"MediaSourceConfig":{` +
	`"MediaUriSecretArn":"arn:aws:secretsmanager:us-west-2:123456789012:secret:camera","MediaUriType":"RTSP_URI"}}}`

func TestWhatEachOperationAnswersInEachStatus(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Now: newClock().Now, StreamDelay: time.Hour})
	arn := succeed(t, c, "CreateStream", `{"StreamName":"cam","DataRetentionInHours":24}`)["StreamARN"].(string)
	rows := whatStatusesAnswer()
	for _, o := range kvsmodel.Operations {
		if _, ok := rows[o.Name]; !ok {
			t.Errorf("there is no row for %s", o.Name)
		}
	}
	enter := func(status string) {
		must(t, c.store.Update(func() error {
			s := c.doc.Streams["cam"]
			s.Status, s.Settles = status, c.o.Now().Add(time.Hour)
			return nil
		}))
	}
	for i, status := range []string{"CREATING", "UPDATING", "DELETING"} {
		enter(status)
		for operation, row := range rows {
			body := "{" + strings.ReplaceAll(row.body, "ARN\":\"ARN", "ARN\":\""+arn) + "}"
			if code, out := ask(t, c, operation, body); code != row.errors[i] {
				t.Errorf("%s of a stream that is %s is answered with %q (%v), want %q", operation, status, code, out["Message"], row.errors[i])
			}
		}
		for _, id := range []string{"cam", arn} {
			info, found := c.kvs.Stream(id)
			if wantFound := status != "DELETING"; found != wantFound || info.Status != status || info.Name != "cam" {
				t.Errorf("the data plane finds %s as %+v, %t", id, info, found)
			}
		}
		want := ""
		if status == "DELETING" {
			want = kvsmodel.ResourceNotFound
		}
		if got := getMedia(t, c); got != want {
			t.Errorf("GetMedia of a stream that is %s is answered with %q, want %q", status, got, want)
		}
	}
}

// getMedia asks for the media of the stream cam and returns the error that comes at once.
func getMedia(t *testing.T, c *Cloud) string {
	t.Helper()
	response := post(t, c, "/getMedia", []byte(`{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}`))
	defer response.Body.Close()
	return response.Header.Get("x-amzn-ErrorType")
}

func TestTheHelperAndTheSeedMakeStreamsThatAreActive(t *testing.T) {
	t.Parallel()
	seed := &Seed{Streams: []SeedStream{{Name: "seeded", RetentionHours: 24}}}
	c := start(t, Options{Now: newClock().Now, StreamDelay: time.Hour, Seed: seed})
	succeed(t, c, "CreateStream", `{"StreamName":"creating"}`)
	arn, err := c.CreateStream("made", 24)
	must(t, err)
	succeed(t, c, "DeleteStream", `{"StreamARN":"`+arn+`"}`)
	for _, name := range []string{"seeded", "creating", "made"} {
		if name != "seeded" {
			_, err := c.CreateStream(name, 24)
			must(t, err)
		}
		if got := statusOf(t, c, name); got != "ACTIVE" {
			t.Errorf("the stream %s is %s", name, got)
		}
	}
	if _, err := c.CreateStream("a/b", 24); err == nil || !strings.Contains(err.Error(), "'a/b' at 'StreamName'") {
		t.Errorf("a bad name: %v", err)
	}
}

func TestAStreamIsNamedOnce(t *testing.T) {
	t.Parallel()
	var refusals bytes.Buffer
	c := start(t, Options{Refusals: &refusals})
	arn, err := c.CreateStream("cam", 24)
	must(t, err)
	other, err := c.CreateStream("other", 24)
	must(t, err)
	for body, want := range map[string]string{
		`{"StreamName":"cam","StreamARN":"` + arn + `"}`: "",
		`{"StreamARN":"` + arn + `"}`:                    "",
		`{}`:                                             "InvalidArgumentException at StreamName",
		`{"StreamName":"cam","StreamARN":"` + other + `"}`:                          "InvalidArgumentException at StreamARN",
		`{"StreamName":"none"}`:                                                     "ResourceNotFoundException at StreamName",
		`{"StreamName":"cam","StreamARN":"` + arn + `0"}`:                           "ResourceNotFoundException at StreamARN",
		`{"StreamARN":"` + strings.Replace(arn, "stream/", "channel/", 1) + `"}`:    "ResourceNotFoundException at StreamARN",
		`{"StreamARN":"` + strings.Replace(arn, "us-west-2", "us-east-1", 1) + `"}`: "ResourceNotFoundException at StreamARN",
	} {
		refusals.Reset()
		code, _ := ask(t, c, "DescribeStream", body)
		wantCode, _, _ := strings.Cut(want, " ")
		if code != wantCode || !strings.Contains(refusals.String(), want) {
			t.Errorf("%s is answered with %q, and the line is %q; want %q", body, code, refusals.String(), want)
		}
	}
}

func TestUpdatesOfAStream(t *testing.T) {
	t.Parallel()
	c := start(t, Options{StreamDelay: -1})
	_, err := c.CreateStream("cam", 0)
	must(t, err)
	info := func() map[string]any {
		return succeed(t, c, "DescribeStream", `{"StreamName":"cam"}`)["StreamInfo"].(map[string]any)
	}
	const (
		invalid  = kvsmodel.InvalidArgument
		increase = `"Operation":"INCREASE_DATA_RETENTION","DataRetentionChangeInHours":`
		decrease = `"Operation":"DECREASE_DATA_RETENTION","DataRetentionChangeInHours":`
	)
	for _, row := range []struct{ operation, members, code, member, want string }{
		{"UpdateStream", `"DeviceName":"hall"`, "", "DeviceName", "hall"},
		{"UpdateStream", `"MediaType":"video/h264,audio/aac"`, "", "MediaType", "video/h264,audio/aac"},
		{"UpdateStream", `"x":1`, "", "DeviceName", "hall"},
		{"UpdateDataRetention", increase + `87600`, "", "DataRetentionInHours", "87600"},
		{"UpdateDataRetention", increase + `1`, invalid, "DataRetentionInHours", "87600"},
		{"UpdateDataRetention", increase + `2147483647`, invalid, "DataRetentionInHours", "87600"},
		{"UpdateDataRetention", decrease + `87601`, invalid, "DataRetentionInHours", "87600"},
		{"UpdateDataRetention", decrease + `87600`, "", "DataRetentionInHours", "0"},
	} {
		before := info()["Version"].(string)
		other := `{"StreamName":"cam","CurrentVersion":"other",` + row.members + `}`
		if code, _ := ask(t, c, row.operation, other); code != kvsmodel.VersionMismatch {
			t.Errorf("%s with another version is answered with %q", row.operation, code)
		}
		code, _ := ask(t, c, row.operation, `{"StreamName":"cam","CurrentVersion":"`+before+`",`+row.members+`}`)
		now := info()
		if code != row.code || (now["Version"] == before) != (row.code != "") {
			t.Errorf("%s %s is answered with %q, and the version %s becomes %s", row.operation, row.members, code, before, now["Version"])
		}
		if got := strings.Trim(jsonOf(t, now[row.member]), `"`); got != row.want {
			t.Errorf("after %s %s %s is %s, want %s", row.operation, row.members, row.member, got, row.want)
		}
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	return string(text)
}

func TestOperationsThatAreNotHere(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for _, name := range kvsmodel.NotHere {
		if code, out := ask(t, c, name, `{}`); code != "UnsupportedOperationException" || out["Message"] != "localcloud does not have "+name {
			t.Errorf("%s is answered with %q: %v", name, code, out["Message"])
		}
	}
	if code, _ := ask(t, c, "CreateNothing", `{}`); code != "UnknownOperationException" {
		t.Errorf("an unknown operation is answered with %q", code)
	}
}

// A token has only characters that the service allows in NextToken, whatever the name.
func TestTokensOfListsHaveTheirAlphabet(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for _, name := range []string{"a", "ab", "abc", "-_.", "oo_", "n-n"} {
		_, err := c.CreateStream(name, 24)
		must(t, err)
	}
	var listed []string
	token := ""
	for {
		out := succeed(t, c, "ListStreams", `{"MaxResults":1,"NextToken":"`+token+`"}`)
		for _, info := range out["StreamInfoList"].([]any) {
			listed = append(listed, info.(map[string]any)["StreamName"].(string))
		}
		next, more := out["NextToken"].(string)
		if !more {
			break
		}
		token = next
	}
	if want := "-_. a ab abc n-n oo_"; strings.Join(listed, " ") != want {
		t.Errorf("listed %v, want %s", listed, want)
	}
}

// A stream that is created again under the name of a deleted one shows none of its media.
func TestANewStreamShowsNoMediaOfTheFormerOne(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	c := start(t, Options{StreamDelay: -1})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	dir := t.TempDir()
	put := func() {
		t.Helper()
		curl(t, film(t, dir, 0), c, dir, "--request", "POST", "--upload-file", "-",
			"--header", "x-amzn-stream-name: cam", "--header", "x-amzn-fragment-timecode-type: RELATIVE",
			"--header", "x-amzn-producer-start-timestamp: 1700000000.000", c.Endpoint()+"/putMedia")
	}
	put()
	arn := succeed(t, c, "DescribeStream", `{"StreamName":"cam"}`)["StreamInfo"].(map[string]any)["StreamARN"].(string)
	succeed(t, c, "DeleteStream", `{"StreamARN":"`+arn+`"}`)
	succeed(t, c, "CreateStream", `{"StreamName":"cam","DataRetentionInHours":24}`)
	put()
	readBack(t, c, dir, 150)
}
