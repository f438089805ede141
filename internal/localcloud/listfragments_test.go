package localcloud

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// putFilm puts 3 fragments of 2 s into the stream cam, which begin at a time.
func putFilm(t *testing.T, c *Cloud, start time.Time) {
	t.Helper()
	dir := t.TempDir()
	curl(t, film(t, dir, 0), c, dir, "--request", "POST", "--upload-file", "-", "--header", "x-amzn-stream-name: cam",
		"--header", "x-amzn-fragment-timecode-type: RELATIVE",
		"--header", fmt.Sprintf("x-amzn-producer-start-timestamp: %d.%03d", start.Unix(), start.UnixMilli()%1000), c.Endpoint()+"/putMedia")
}

// listAll returns the numbers of all pages, in order.
func listAll(t *testing.T, client *archived.Client, in archived.ListFragmentsInput) (numbers []string) {
	t.Helper()
	in.StreamName = aws.String("cam")
	for {
		out, err := client.ListFragments(t.Context(), &in)
		must(t, err)
		for _, f := range out.Fragments {
			numbers = append(numbers, *f.FragmentNumber)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			slices.Sort(numbers)
			return numbers
		}
	}
}

func numbersOf(list []media.Fragment) (numbers []string) {
	for _, f := range list {
		numbers = append(numbers, f.Number)
	}
	slices.Sort(numbers)
	return numbers
}

// TestListFragments: clients of AWS list what ffmpeg and curl put, in any order and in pages.
func TestListFragments(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "/usr/bin/aws")
	now := newClock()
	now.now = time.Now()
	dir := t.TempDir()
	c := start(t, Options{Dir: dir, StreamDelay: -1, Now: now.Now})
	arn, err := c.CreateStream("cam", 2)
	must(t, err)
	putFilm(t, c, foreignStart)
	client := archived.NewFromConfig(userConfig(t, c))
	stored := c.Media().Fragments("cam")
	selector := func(kind types.FragmentSelectorType, from, to time.Time) *types.FragmentSelector {
		between := &types.TimestampRange{StartTimestamp: &from, EndTimestamp: &to}
		return &types.FragmentSelector{FragmentSelectorType: kind, TimestampRange: between}
	}
	producer := func(from, to time.Duration) *types.FragmentSelector {
		return selector(types.FragmentSelectorTypeProducerTimestamp, foreignStart.Add(from), foreignStart.Add(to))
	}
	for name, row := range map[string]struct {
		in   archived.ListFragmentsInput
		want []media.Fragment
	}{
		"all":              {archived.ListFragmentsInput{}, stored},
		"pages":            {archived.ListFragmentsInput{MaxResults: aws.Int64(2)}, stored},
		"both ends belong": {archived.ListFragmentsInput{FragmentSelector: producer(2*time.Second, 4*time.Second)}, stored[1:]},
		"between":          {archived.ListFragmentsInput{FragmentSelector: producer(time.Second, 3999*time.Millisecond)}, stored[1:2]},
		"server": {archived.ListFragmentsInput{FragmentSelector: selector(types.FragmentSelectorTypeServerTimestamp, stored[0].Server,
			stored[2].Server)}, stored},
		"nothing": {archived.ListFragmentsInput{FragmentSelector: producer(time.Hour, 2*time.Hour)}, nil},
	} {
		c.Media().ForgetCalls("cam")
		if got, want := listAll(t, client, row.in), numbersOf(row.want); !slices.Equal(got, want) {
			t.Errorf("%s: listed %v, want %v", name, got, want)
		}
	}

	c.Media().ForgetCalls("cam")
	command := exec.CommandContext(t.Context(), "/usr/bin/aws", "kinesis-video-archived-media", "list-fragments", "--stream-arn", arn,
		"--endpoint-url", c.Endpoint(), "--fragment-selector", "FragmentSelectorType=PRODUCER_TIMESTAMP,TimestampRange={StartTimestamp="+
			foreignStart.Add(time.Second).Format(time.RFC3339)+",EndTimestamp="+foreignStart.Add(time.Hour).Format(time.RFC3339)+"}")
	command.Env = userEnv(t, c)
	text, err := command.CombinedOutput()
	var out struct {
		Fragments []struct {
			FragmentNumber                                    string
			FragmentSizeInBytes, FragmentLengthInMilliseconds int64
			ProducerTimestamp, ServerTimestamp                time.Time
		}
	}
	if err != nil || json.Unmarshal(text, &out) != nil || len(out.Fragments) != 2 {
		t.Fatalf("the AWS CLI says %s: %v", text, err)
	}
	for _, f := range out.Fragments {
		at := slices.IndexFunc(stored, func(s media.Fragment) bool { return s.Number == f.FragmentNumber })
		if at < 0 || !f.ProducerTimestamp.Equal(stored[at].Producer) || f.ServerTimestamp.UnixMilli() != stored[at].Server.UnixMilli() ||
			f.FragmentSizeInBytes < stored[at].Bytes || f.FragmentLengthInMilliseconds != 1960 {
			t.Errorf("the AWS CLI shows %+v, which is not stored", f)
		}
	}

	// What is lost is not listed, also after a restart; then all of it expires.
	lost, err := c.Media().Lose("cam", func(f media.Fragment) bool { return f.Number == stored[1].Number })
	must(t, err)
	c.Media().ForgetCalls("cam")
	want := numbersOf([]media.Fragment{stored[0], stored[2]})
	if got := listAll(t, client, archived.ListFragmentsInput{}); lost != 1 || !slices.Equal(got, want) {
		t.Errorf("after a loss of %d: %v, want %v", lost, got, want)
	}
	must(t, c.Close())
	c = start(t, Options{Dir: dir, StreamDelay: -1, Now: now.Now})
	client = archived.NewFromConfig(userConfig(t, c))
	if got := listAll(t, client, archived.ListFragmentsInput{}); !slices.Equal(got, want) {
		t.Errorf("after a loss and a restart: %v, want %v", got, want)
	}
	now.advance(2*time.Hour + time.Minute)
	if got := listAll(t, client, archived.ListFragmentsInput{}); len(got) != 0 {
		t.Errorf("after the retention: %v", got)
	}
}

func TestWhatListFragmentsRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, Options{StreamDelay: -1, Now: newClock().Now, Deny: []string{"kinesisvideo:ListFragments"}})
	arn, err := c.CreateStream("cam", 1)
	must(t, err)
	const name = `"StreamName":"cam"`
	times := func(from, to string) string {
		return `{` + name + `,"FragmentSelector":{"FragmentSelectorType":"SERVER_TIMESTAMP","TimestampRange":{"StartTimestamp":` + from +
			`,"EndTimestamp":` + to + `}}}`
	}
	for _, row := range []struct{ body, code, says string }{
		{`{}`, "InvalidArgumentException", "exactly one of StreamName and StreamARN"},
		{`{` + name + `,"StreamARN":"` + arn + `"}`, "InvalidArgumentException", "exactly one"},
		{`{"StreamName":"none"}`, "ResourceNotFoundException", "none is not found"},
		{`{` + name + `,"MaxResults":0}`, "InvalidArgumentException", "greater than or equal to 1"},
		{`{` + name + `,"MaxResults":1001}`, "InvalidArgumentException", "less than or equal to 1000"},
		{`{` + name + `,"MaxResults":"x"}`, "SerializationException", "MaxResults must be a whole number"},
		{`{` + name + `,"NextToken":"A"}`, "InvalidArgumentException", "NextToken is not one"},
		{`{` + name + `,"NextToken":"!"}`, "InvalidArgumentException", "regular expression"},
		{`{` + name + `,"FragmentSelector":{}}`, "InvalidArgumentException", "2 validation errors"},
		{`{` + name + `,"FragmentSelector":{"FragmentSelectorType":"X","TimestampRange":{"StartTimestamp":1,"EndTimestamp":2}}}`,
			"InvalidArgumentException", "enum value set: [PRODUCER_TIMESTAMP, SERVER_TIMESTAMP]"},
		{times("2", "1"), "InvalidArgumentException", "StartTimestamp must not be after EndTimestamp"},
		{times(`"x"`, "1"), "SerializationException", "a time in seconds since 1970"},
	} {
		c.Media().ForgetCalls("cam")
		response := post(t, c, "/listFragments", []byte(row.body))
		var out struct{ Message string }
		must(t, json.NewDecoder(response.Body).Decode(&out))
		_ = response.Body.Close()
		if code := response.Header.Get("x-amzn-ErrorType"); code != row.code || !strings.Contains(out.Message, row.says) {
			t.Errorf("%s is answered with %s: %s, want %s: %s", row.body, code, out.Message, row.code, row.says)
		}
	}

	cam := &archived.ListFragmentsInput{StreamName: aws.String("cam")}
	_, err = archived.NewFromConfig(deviceConfig(t, c, hub)).ListFragments(t.Context(), cam)
	wantError(t, err, "AccessDeniedException", 403)
	if err == nil || !strings.Contains(err.Error(), "kinesisvideo:ListFragments on resource: "+arn) {
		t.Errorf("a denial says %v", err)
	}

	c.Media().ForgetCalls("cam")
	user := archived.NewFromConfig(userConfig(t, c))
	cam.MaxResults = aws.Int64(1000)
	admitted := 0
	for range 20 {
		if _, err = user.ListFragments(t.Context(), cam); err != nil {
			break
		}
		admitted++
	}
	wantError(t, err, "ClientLimitExceededException", 400)
	if admitted != 10 {
		t.Errorf("%d calls for 1,000 fragments in one second are admitted, want 10", admitted)
	}
	c.Faults().RefuseOperation("ListFragments", 503, "ServiceUnavailable")
	_, err = user.ListFragments(t.Context(), cam)
	wantError(t, err, "ServiceUnavailable", 503)
}
