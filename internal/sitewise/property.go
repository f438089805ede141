package sitewise

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	// defaultRetention is what the edge connector's model has.
	defaultRetention = 60
	// maxMinutes bounds retention and windows: ten years.
	maxMinutes = 10 * 366 * 24 * 60
	// maxShown bounds a value in a sentence, in runes.
	maxShown = 80
)

// Asset is a camera asset as SiteWise has it. The zero value of a member is that of an asset without it.
type Asset struct {
	ID, Name   string
	Properties map[string]string // ids, by the names of properties as in Names
	Values     map[string]string // of the attributes, as text, by the same names; one that has none is missing
}

// textOf is a value as text: that of an attribute which is a number in one model is the same in another one.
func textOf(v cloud.Value) (text string, known bool) {
	switch v.Kind {
	case cloud.Text:
		return strings.TrimSpace(v.Text), true
	case cloud.Integer:
		return strconv.FormatInt(v.Integer, 10), true
	case cloud.Double:
		if v.Double == math.Trunc(v.Double) && math.Abs(v.Double) < 1e15 {
			return strconv.FormatInt(int64(v.Double), 10), true
		}
		return strconv.FormatFloat(v.Double, 'g', -1, 64), true
	case cloud.Boolean:
		return strconv.FormatBool(v.Boolean), true
	default:
		return "", false
	}
}

// Wrong is a value that cannot be followed.
type Wrong struct {
	Property string
	Value    string // as it is shown; empty where there is none
	Rule     string // as the end of a sentence that begins with the property
}

// String says it as a clause.
func (w Wrong) String() string {
	if w.Value == "" {
		return w.Property + " " + w.Rule
	}
	return fmt.Sprintf("%s is %q, but %s", w.Property, w.Value, w.Rule)
}

// Wanted is what the values of a camera asset want.
type Wanted struct {
	Stream   string
	Secret   string
	Minutes  int // of retention
	Capture  desired.Schedule
	Live     desired.Schedule
	Notes    []string // what is followed in another way than it is written: clauses for people
	captured bool     // Capture is not never
}

// reader reads the values of one asset.
type reader struct {
	values map[string]string
	wrong  []Wrong
	notes  []string
}

func (r *reader) fault(property, format string, args ...any) {
	r.wrong = append(r.wrong, Wrong{property, health.Clean(r.values[property], maxShown), fmt.Sprintf(format, args...)})
}

// Parse reads the values of a camera asset. wrong lists all that cannot be followed; where it has none, all of wanted is valid.
// Of wanted, Stream is set whenever it is the name of a stream.
func Parse(a Asset) (wanted Wanted, wrong []Wrong) {
	r := &reader{values: a.Values}
	wanted.Stream, wanted.Secret = r.stream(), r.secret()
	wanted.Minutes = r.minutes(Retention, 1, defaultRetention)
	wanted.Capture = r.schedule(CaptureStart, CaptureMinutes)
	wanted.Live = r.schedule(LiveStart, LiveMinutes)
	wanted.captured = !wanted.Capture.IsNever()
	wanted.Notes = r.notes
	return wanted, r.wrong
}

// placeholder is how the default values of the edge connector's model begin.
const placeholder = "<Replace"

func (r *reader) stream() string {
	switch text := r.values[StreamName]; {
	case text == "":
		r.fault(StreamName, "has no value: it must be the name of a stream of Kinesis Video Streams")
	case strings.HasPrefix(text, placeholder):
		r.fault(StreamName, "must be the name of a stream of Kinesis Video Streams: replace the default value of the model")
	case !kvslimit.IsStreamName(text):
		r.fault(StreamName, "must be the name of a stream: 1 to 256 letters, digits, or _.- and not only dots")
	default:
		return text
	}
	return ""
}

// secretPattern is the ARN of a secret. Source: Secrets Manager API, CreateSecret, Name: letters, digits, and /_+=.@-.
var secretPattern = regexp.MustCompile(`^arn:[a-z\d-]+:secretsmanager:[a-z0-9-]+:[0-9]+:secret:[a-zA-Z0-9/_+=.@-]+$`)

func (r *reader) secret() string {
	switch text := r.values[SecretARN]; {
	case text == "":
		r.fault(SecretARN, "has no value: it must be the ARN of the secret with the camera's URL")
	case strings.HasPrefix(text, placeholder):
		r.fault(SecretARN, "must be the ARN of the secret with the camera's URL: replace the default value of the model")
	case strings.Contains(text, "://"):
		// A URL may have a password in it, which is never shown.
		r.wrong = append(r.wrong, Wrong{SecretARN, "", "is a URL, but must be the ARN of the secret that holds it"})
	case len(text) > edgeconfig.MaxSecretArn || !secretPattern.MatchString(text):
		r.fault(SecretARN, "must be the ARN of a secret (arn:aws:secretsmanager:region:account:secret:name)")
	default:
		return text
	}
	return ""
}

// minutes reads a whole number of minutes; without a value it is otherwise.
func (r *reader) minutes(property string, least, otherwise int) int {
	text := r.values[property]
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > maxMinutes {
		r.fault(property, "must be a whole number of minutes from %d to %d", least, maxMinutes)
		return otherwise
	}
	return n
}

// alwaysText is the expression with which the edge connector has no pause.
const alwaysText = "* * * * *"

// schedule reads a start and a duration.
func (r *reader) schedule(start, duration string) desired.Schedule {
	expression := strings.Join(strings.Fields(r.values[start]), " ")
	switch expression {
	case "", "-":
		return desired.Never()
	case alwaysText:
		return desired.Always()
	}
	before := len(r.wrong)
	minutes := r.minutes(duration, 0, 0)
	if len(expression) > maxExpression {
		r.fault(start, "must have at most %d characters", maxExpression)
		return desired.Never()
	}
	length := time.Duration(minutes) * time.Minute
	s, err := desired.InWindows("0 "+expression, length)
	switch {
	case err != nil:
		r.fault(start, "must be -, %s, or a schedule such as 0 8 * * ? (minute, hour, day of the month, month, day of the week, and "+
			"perhaps year), for the agent reads it as Quartz does, with 0 seconds before it: %s", alwaysText, err)
		return desired.Never()
	case minutes == 0 && len(r.wrong) == before:
		r.fault(duration, "must be at least 1 minute, as %s is a schedule", start)
		return desired.Never()
	}
	return r.joined(start, duration, s, "0 "+expression, length)
}

// maxExpression bounds an expression, in bytes. Source: KVS API, ScheduleExpression.
const maxExpression = 100
