package manifests

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// decode reads manifests as the API server does with strict validation: a
// field that it does not know, one given twice or of the wrong type is an
// error.
func decode(manifests []byte) ([]runtime.Object, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme,
		json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(manifests)))
	var objects []runtime.Object
	for {
		buf := make([]byte, 1<<20)
		n, err := documents.Read(buf)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(buf[:n], nil, nil)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

func TestManifestsAreOfTheAPI(t *testing.T) {
	manifests, err := os.ReadFile("../../kubernetes/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(manifests)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range objects {
		kinds = append(kinds, o.GetObjectKind().GroupVersionKind().Kind)
	}
	if want := []string{"ConfigMap", "Deployment"}; !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}

func TestDecodingIsStrict(t *testing.T) {
	for name, change := range map[string][2]string{
		"unknown field": {"readOnlyRootFilesystem:", "readOnlyRootFileSystem:"},
		"wrong type":    {"replicas: 2", "replicas: two"},
		"given twice":   {"replicas: 2", "replicas: 2\n  replicas: 3"},
	} {
		t.Run(name, func(t *testing.T) {
			manifests, err := os.ReadFile("../../kubernetes/deployment.yaml")
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.ReplaceAll(manifests, []byte(change[0]), []byte(change[1]))
			if bytes.Equal(manifests, changed) {
				t.Fatalf("%q is not in the manifests", change[0])
			}
			if _, err := decode(changed); err == nil {
				t.Errorf("got no error for %q", change[1])
			}
		})
	}
}

func TestEveryContainerIsRestricted(t *testing.T) {
	manifests, err := os.ReadFile("../../kubernetes/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(manifests)
	if err != nil {
		t.Fatal(err)
	}
	pod := objects[1].(*appsv1.Deployment).Spec.Template.Spec
	if p := pod.SecurityContext; !*p.RunAsNonRoot || *p.RunAsUser == 0 || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("got pod security context %v", p)
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: got security context %v", c.Name, s)
		}
	}
}
