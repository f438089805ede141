package desired

// Tags are the options of a stream's upload that are tags of the stream in the cloud, each as it is written there.
type Tags struct {
	Upload        string // scheduled, live or on-request, whatever the hub's setting; empty: as that
	Camera        string // what the camera is called
	Images        string // true, or what the names of generated images begin with
	Notifications string // true
	Fragment      string // how long fragments become, whatever the hub's setting; empty: as that
	MainOf        string // the sub streams of the same camera, if this is its main stream; see ParseMainOf
}

// The names of the tags.
const (
	TagUpload        = "kvs-edge:upload"
	TagCamera        = "kvs-edge:camera"
	TagImages        = "kvs-edge:image-generation"
	TagNotifications = "kvs-edge:notification"
	TagFragment      = "kvs-edge:fragment"
	TagMainOf        = "kvs-edge:main-of"
)

// TagsOf picks the options out of a stream's tags.
func TagsOf(tags map[string]string) Tags {
	return Tags{Upload: tags[TagUpload], Camera: tags[TagCamera], Images: tags[TagImages], Notifications: tags[TagNotifications],
		Fragment: tags[TagFragment], MainOf: tags[TagMainOf]}
}

// Map has the options that are set, by the names of the tags.
func (t Tags) Map() map[string]string {
	set := make(map[string]string)
	for name, value := range map[string]string{
		TagUpload: t.Upload, TagCamera: t.Camera, TagImages: t.Images, TagNotifications: t.Notifications,
		TagFragment: t.Fragment, TagMainOf: t.MainOf,
	} {
		if value != "" {
			set[name] = value
		}
	}
	return set
}

// TagNames lists the tags that are options.
func TagNames() []string {
	return []string{TagUpload, TagCamera, TagImages, TagNotifications, TagFragment, TagMainOf}
}
