package streamfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// maxFile is how many bytes a file may have: far more than the longest edge configuration.
const maxFile = 64 << 10

// The members of a file.
const (
	memberName   = "StreamName"
	memberConfig = "EdgeConfig"
	memberTags   = "Tags"
	memberURI    = "MediaURI"

	pathSource = "RecorderConfig.MediaSourceConfig"
	pathURI    = memberConfig + "." + pathSource + "." + memberURI
)

// described are the other members that DescribeEdgeConfiguration and ListEdgeAgentConfigurations return: a file may be a copy of
// such an answer. They have no effect here.
var described = []string{"StreamARN", "CreationTime", "LastUpdatedTime", "SyncStatus", "FailedStatusDetails", "EdgeAgentStatus"}

// withoutEffect reports whether a member of a file may have any value, as nobody reads it.
func withoutEffect(name string) bool {
	return slices.Contains(described, name) || strings.HasPrefix(name, "_") || strings.HasPrefix(name, "$")
}

// wrong is an error with all faults that were found in a file.
type wrong []edgeconfig.FieldFault

// Error returns all faults, each with the member and the rule that it breaks.
func (w wrong) Error() string {
	clauses := make([]string, len(w))
	for i, fault := range w {
		clauses[i] = fault.String()
	}
	return strings.Join(clauses, "; ")
}

func (w *wrong) add(path, value, format string, args ...any) {
	*w = append(*w, edgeconfig.FieldFault{Path: path, Value: value, Rule: fmt.Sprintf(format, args...)})
}

// addConfig adds the faults of the edge configuration, with paths from the top of the file.
func (w *wrong) addConfig(err error) {
	var invalid *edgeconfig.Invalid
	if !errors.As(err, &invalid) {
		w.add(memberConfig, "", "cannot be followed: %s", err)
		return
	}
	for _, fault := range invalid.Faults {
		fault.Path = strings.TrimSuffix(memberConfig+"."+fault.Path, ".")
		*w = append(*w, fault)
	}
}

// place is what the parser knows of the hub that reads a file. (Files.Place is something else: the place of a URL.)
type place struct {
	thing   string // the hub's thing in AWS IoT, which a HubDeviceArn must name
	noCloud bool   // nothing is uploaded, and no secret can be read
}

// judge reads a file as it is in the directory: parse, and the rules that a last good content need not keep, as the stream must not
// stop at an upgrade. A rule that an earlier version did not have belongs here.
func (p place) judge(data []byte, modified time.Time) (s desired.Stream, note string, err error) {
	s, note, err = p.parse(data, modified)
	var w wrong
	if err != nil && !errors.As(err, &w) {
		return s, note, err
	}
	w.addRepeated(data)
	if len(w) > 0 {
		return desired.Stream{}, "", w
	}
	return s, note, nil
}

// parse reads a content. note names the members that have no effect, for people; it is empty if all have one. The error is of
// type wrong, and contains no secret. restore relies on it that a content which any version found right is not refused for its form.
func (p place) parse(data []byte, modified time.Time) (s desired.Stream, note string, err error) {
	var w wrong
	members := objectOf(&w, bytes.TrimPrefix(data, []byte(byteOrderMark)))
	if len(w) > 0 {
		return s, "", w
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != memberName && name != memberConfig && name != memberTags && !withoutEffect(name) {
			w.add(edgeconfig.ShownName(name), "", "is not known: a stream file has %s, %s and, if need be, %s", memberName, memberConfig, memberTags)
		}
	}
	config := edgeconfig.StreamConfig{LastUpdated: modified}
	if json.Unmarshal(members[memberName], &config.StreamName) != nil || !kvslimit.IsStreamName(config.StreamName) {
		w.add(memberName, "", "must be the name of a stream: 1 to 256 letters, digits, or _.- and not only dots")
	}
	rest, uri := takeURI(&w, members[memberConfig])
	if config.Config, err = readConfig(rest); err == nil {
		p.check(&w, config.Config, uri)
		s, err = edgestream.Of(config, desired.File, edgeconfig.InFile(uri.present))
	}
	if err != nil {
		w.addConfig(err)
	}
	tags := tagsOf(&w, config.StreamName, members[memberTags])
	if len(w) > 0 {
		return desired.Stream{}, "", w
	}
	s.Media.URL = uri.url
	s.Media.Kind = uri.kind(config.Config.RecorderConfig.MediaSourceConfig.MediaUriType)
	s.Upload.FromTags, s.Upload.Tags = false, tags
	if p.noCloud {
		note = unused(config.Config, tags)
		s.Upload = desired.Upload{Schedule: desired.Never(), Tags: desired.Tags{MainOf: tags.MainOf}}
		s.Keep.Local, s.Keep.DeleteAfterUpload = true, false
	}
	return s, note, nil
}

// nameIn returns the StreamName in a file, also if the file is wrong otherwise; empty if the name cannot be read.
func nameIn(data []byte) string {
	var d struct{ StreamName string }
	if json.Unmarshal(bytes.TrimPrefix(data, []byte(byteOrderMark)), &d) != nil || !kvslimit.IsStreamName(d.StreamName) {
		return ""
	}
	return d.StreamName
}

// byteOrderMark is what some editors on Windows write at the start of a file.
const byteOrderMark = "\ufeff"

// unused names the members that have no effect without the cloud.
func unused(c edgeconfig.EdgeConfig, tags desired.Tags) string {
	var members []string
	if c.UploaderConfig != nil {
		members = append(members, memberConfig+".UploaderConfig")
	}
	if c.DeletionConfig != nil && c.DeletionConfig.DeleteAfterUpload != nil {
		members = append(members, memberConfig+".DeletionConfig.DeleteAfterUpload")
	}
	if tags.MainOf = ""; tags != (desired.Tags{}) {
		members = append(members, memberTags)
	}
	return strings.Join(members, ", ")
}

// objectOf returns the members of a JSON object.
func objectOf(w *wrong, data []byte) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&members)
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		w.add("The file", "", "is empty")
	case errors.As(err, &syntax):
		before := data[:min(int(syntax.Offset), len(data))]
		line := 1 + bytes.Count(before, []byte("\n"))
		w.add("The file", "", "is not JSON: the first error is in line %d, column %d", line,
			max(1, len(before)-1-bytes.LastIndexByte(before, '\n')))
	case errors.Is(err, io.ErrUnexpectedEOF):
		w.add("The file", "", "is not JSON: it ends too early")
	case err != nil || members == nil:
		w.add("The file", "", "must hold a JSON object")
	default:
		if _, err := d.Token(); err != io.EOF {
			w.add("The file", "", "must hold one JSON object, and nothing after it")
		}
	}
	return members
}

// readConfig reads the edge configuration. The error is an *edgeconfig.Invalid.
func readConfig(data json.RawMessage) (edgeconfig.EdgeConfig, error) {
	if len(data) == 0 || string(data) == "null" {
		return edgeconfig.EdgeConfig{},
			&edgeconfig.Invalid{Faults: []edgeconfig.FieldFault{{Rule: "is missing: it must be an edge configuration"}}}
	}
	return edgeconfig.ParseKnown(data)
}

// check adds the faults that a configuration has because it is in a file of this hub. edgestream.Of checks its values.
func (p place) check(w *wrong, c edgeconfig.EdgeConfig, uri mediaURI) {
	source := c.RecorderConfig.MediaSourceConfig
	uri.check(w, source.MediaUriType)
	switch hub, err := edgeconfig.ParseHub(c.HubDeviceArn); {
	case err == nil && !p.noCloud && hub.Thing != p.thing:
		w.add(memberConfig+".HubDeviceArn", "", "must be this hub's, whose thing is %s, or be left out", p.thing)
	case p.noCloud && source.MediaUriSecretArn != "":
		w.add(memberConfig+"."+pathSource+".MediaUriSecretArn", "", "cannot be read without the cloud (AWS_KVS_EDGE_CLOUD is off): "+
			"put the camera's URL into %s instead", memberURI)
	}
}

// mediaURI is the MediaURI in a file. If present is true and the URL is empty, the member is not a string or has no text.
type mediaURI struct {
	url     secret.String
	present bool
}

// takeURI takes RecorderConfig.MediaSourceConfig.MediaURI out of an edge configuration. The API's type has no such member,
// and the rest has no secret, so that its faults may be shown. A configuration of another form is returned as it is: readConfig
// reports what is wrong with it.
func takeURI(w *wrong, data json.RawMessage) (rest json.RawMessage, uri mediaURI) {
	var config, recorder, source map[string]json.RawMessage
	if json.Unmarshal(data, &config) != nil {
		return data, uri
	}
	recorderKey, sourceKey := keyOf(config, "RecorderConfig"), ""
	if json.Unmarshal(config[recorderKey], &recorder) == nil {
		sourceKey = keyOf(recorder, "MediaSourceConfig")
	}
	if json.Unmarshal(recorder[sourceKey], &source) != nil {
		return data, uri
	}
	key := keyOf(source, memberURI)
	value, has := source[key]
	if !has {
		return data, uri
	}
	var text string
	if json.Unmarshal(value, &text) != nil || strings.TrimSpace(text) == "" {
		w.add(pathURI, "", "must be a string with the URL of a camera or a file")
	}
	uri = mediaURI{url: secret.New(address.Tidy(text)), present: true}
	delete(source, key)
	recorder[sourceKey], _ = json.Marshal(source) // no error: it was JSON when it was read
	config[recorderKey], _ = json.Marshal(recorder)
	rest, _ = json.Marshal(config)
	return rest, uri
}

// keyOf returns how an object spells the name of a member. As in encoding/json, capital letters make no difference, and an exact
// match takes precedence.
func keyOf(object map[string]json.RawMessage, name string) string {
	if _, exactly := object[name]; exactly {
		return name
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if strings.EqualFold(key, name) {
			return key
		}
	}
	return name
}

// kind is the kind of media: as MediaUriType (named) says, or if that is missing, as the scheme of the URL says.
func (u mediaURI) kind(named edgeconfig.MediaURIType) desired.MediaKind {
	scheme, _, _ := strings.Cut(u.url.Reveal(), "://")
	if named == edgeconfig.File || named == "" && strings.EqualFold(scheme, "file") {
		return desired.Clip
	}
	return desired.Camera
}

// check adds what is wrong with the URL, if there is one.
func (u mediaURI) check(w *wrong, named edgeconfig.MediaURIType) {
	if u.url.Empty() {
		return
	}
	if u.kind(named) == desired.Clip {
		if clip.CheckURL(u.url) != nil {
			w.add(pathURI, secret.Redacted, "must be the URL of a file in the media directory, such as file:///door.mp4 or "+
				"file:///door.mp4?loop=true")
		}
		return
	}
	if _, err := address.Parse(u.url); err != nil {
		w.add(pathURI, secret.Redacted, "must be the URL of a camera, such as rtsp://user:password@192.168.1.20:554/path, with @ written as "+
			"%%40 and / as %%2F in user name and password")
	}
}

// tagsOf reads the options that streams from other sources have as tags in the cloud.
func tagsOf(w *wrong, stream string, data json.RawMessage) desired.Tags {
	if len(data) == 0 || string(data) == "null" {
		return desired.Tags{}
	}
	var tags map[string]string
	if json.Unmarshal(data, &tags) != nil {
		w.add(memberTags, "", "must be an object of strings")
		return desired.Tags{}
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if !slices.Contains(desired.TagNames(), name) {
			w.add(memberTags+"."+edgeconfig.ShownName(name), "", "is not known: it must be one of %s", strings.Join(desired.TagNames(), ", "))
		}
	}
	switch strings.ToLower(strings.TrimSpace(tags[desired.TagUpload])) {
	case "", "scheduled", "live", "on-request":
	default:
		w.add(memberTags+"."+desired.TagUpload, "", "must be scheduled, live or on-request")
	}
	if _, err := desired.ParseMainOf(stream, tags[desired.TagMainOf]); err != nil {
		w.add(memberTags+"."+desired.TagMainOf, "", "%s", err)
	}
	if _, err := fragment.Parse(tags[desired.TagFragment]); err != nil {
		w.add(memberTags+"."+desired.TagFragment, "", "%s", err)
	}
	return desired.TagsOf(tags)
}
