// The one file that knows the map library. Everything drawn is ours: no tiles, no outside address.
//
// It never moves by itself: only `go`, `back`, `pan` and `zoom` move it, and a person calls those.
import * as leaflet from "leaflet";
import "leaflet/dist/leaflet.css";

/** Something with a place. `id` says what a click selects. */
export interface Spot {
  id: string;
  /** `caller`, `incident` or `unit`; also the class it is styled by. */
  kind: "caller" | "incident" | "unit";
  lat: number;
  lon: number;
  /** How far off it may be; drawn as a circle when known. */
  radius_m?: number | null;
  /** Further classes, such as the status. */
  look: string;
  /** Sign in the symbol, and words beside it. */
  sign: string;
  label: string;
}

/** A region with a name. */
export interface Region {
  name: string;
  lat: number;
  lon: number;
  radius_m: number;
}

export interface View {
  lat: number;
  lon: number;
  zoom: number;
}

const ZOOM_MAX = 16;
/** Views to go back to, at most. */
const BACK_MAX = 50;

export class CityMap {
  #map: leaflet.Map;
  #ground = leaflet.layerGroup();
  #spots = leaflet.layerGroup();
  #names: leaflet.Marker[] = [];
  #back: View[] = [];
  #home: leaflet.LatLngBounds;
  /** Whether a person has moved it. */
  #touched = false;
  #moved: () => void;

  constructor(element: HTMLElement, home: [number, number][], select: (id: string) => void, moved: () => void) {
    this.#moved = moved;
    this.#map = leaflet.map(element, {
      attributionControl: false, zoomControl: false, keyboard: false, zoomSnap: 0.25, zoomDelta: 1, maxZoom: ZOOM_MAX, minZoom: 8,
      fadeAnimation: false, zoomAnimation: false, markerZoomAnimation: false, inertia: false,
    });
    this.#home = leaflet.latLngBounds(home);
    this.#map.fitBounds(this.#home, { padding: [4, 4], animate: false });
    this.#map.on("dragstart", () => (this.#touched = true));
    element.addEventListener("wheel", () => (this.#touched = true), { passive: true });
    leaflet.control.scale({ imperial: false, position: "bottomleft" }).addTo(this.#map);
    this.#ground.addTo(this.#map);
    this.#spots.addTo(this.#map);
    this.#map.on("zoomend", () => this.#declutter());
    this.#map.on("moveend zoomend", () => this.#moved());
    element.addEventListener("click", (event) => {
      const id = (event.target as Element).closest<HTMLElement>("[data-spot]")?.dataset.spot;
      if (id) select(id);
    });
  }

  /** Draws the ground once: the city's edge, and regions with their names. */
  ground(edge: [number, number][], regions: readonly Region[]): void {
    this.#ground.clearLayers();
    leaflet.polygon(edge, { className: "map-edge", interactive: false }).addTo(this.#ground);
    this.#names = regions.map(({ name, lat, lon, radius_m }) => {
      leaflet.circle([lat, lon], { radius: radius_m, className: "map-region", interactive: false }).addTo(this.#ground);
      return leaflet.marker([lat, lon], { icon: icon("map-name", text("span", "", name)), interactive: false, keyboard: false, zIndexOffset: -1_000 }).addTo(this.#ground);
    });
    this.#declutter();
  }

  /** Draws what is going on. Units at one place share a symbol that names each of them; incidents
   * come last and lie on top. Nothing is left out. */
  show(spots: readonly Spot[]): void {
    this.#spots.clearLayers();
    for (const spot of spots) if (spot.radius_m) this.#circle(spot);
    const places = new Map<string, Spot[]>();
    for (const spot of spots) {
      const place = `${spot.kind} ${spot.lat.toFixed(5)} ${spot.lon.toFixed(5)}`;
      places.set(place, [...(places.get(place) ?? []), spot]);
    }
    const incidents = new Set(spots.filter((each) => each.kind === "incident").map(({ lat, lon }) => `${lat.toFixed(5)} ${lon.toFixed(5)}`));
    for (const [order, kind] of (["unit", "caller", "incident"] as const).entries()) {
      for (const [place, group] of places) {
        // Units at a scene stand below its symbol, not behind it.
        const below = kind === "unit" && incidents.has(place.slice("unit ".length));
        if (group[0]?.kind === kind) this.#symbols(group, order * 1_000, below);
      }
    }
  }

  #circle(spot: Spot): void {
    leaflet.circle([spot.lat, spot.lon], { radius: spot.radius_m ?? 0, className: `map-circle ${spot.kind} ${spot.look}`, interactive: false }).addTo(this.#spots);
  }

  #symbols(group: Spot[], order: number, below: boolean): void {
    const [first] = group;
    if (!first) return;
    const box = text("div", `map-group ${first.kind}${group.length === 1 ? " alone" : ""}${below ? " below" : ""}`);
    for (const spot of group) {
      const each = text("span", `map-spot ${spot.kind} ${spot.look}`);
      each.dataset.spot = spot.id;
      each.title = spot.label;
      if (spot.sign) each.append(text("b", "", spot.sign));
      each.append(text("i", "", spot.label));
      box.append(each);
    }
    leaflet.marker([first.lat, first.lon], { icon: icon("map-icon", box), keyboard: false, zIndexOffset: order }).addTo(this.#spots);
  }

  /** Names of regions give way to each other; nothing else does. */
  #declutter(): void {
    const far = this.#map.getZoom() < 12;
    this.#map.getContainer().classList.toggle("far", far);
    const taken: leaflet.Point[] = [];
    for (const name of this.#names) {
      const at = this.#map.latLngToLayerPoint(name.getLatLng());
      const crowded = taken.some((other) => Math.abs(other.x - at.x) < 48 && Math.abs(other.y - at.y) < 15);
      name.getElement()?.classList.toggle("crowded", crowded);
      if (!crowded) taken.push(at);
    }
  }

  view(): View {
    const { lat, lng } = this.#map.getCenter();
    return { lat, lon: lng, zoom: this.#map.getZoom() };
  }

  /** Goes where the circle fills the view; `back` returns to exactly what was there. */
  go(lat: number, lon: number, radius_m: number): void {
    this.resized();
    this.#touched = true;
    this.#back = [...this.#back.slice(-BACK_MAX + 1), this.view()];
    const bounds = leaflet.latLng(lat, lon).toBounds(Math.max(radius_m, 150) * 3);
    this.#map.fitBounds(bounds, { animate: false, maxZoom: ZOOM_MAX });
  }

  /** Returns whether there was a view to go back to. */
  back(): boolean {
    const view = this.#back.pop();
    if (view) this.#map.setView([view.lat, view.lon], view.zoom, { animate: false });
    return !!view;
  }

  /** By a part of what is seen: 1 is a whole screen. */
  pan(right: number, down: number): void {
    this.#touched = true;
    const { x, y } = this.#map.getSize();
    this.#map.panBy([x * right, y * down], { animate: false });
  }

  zoom(by: number): void {
    this.#touched = true;
    this.#map.setZoom(this.#map.getZoom() + by, { animate: false });
  }

  /** The pane has another size now: the middle stays the middle, and until somebody moved it the
   * whole city stays in view. */
  resized(): void {
    // A pane that is not shown has no size; what would fit into it is no view.
    if (!this.#map.getContainer().clientHeight) return;
    this.#map.invalidateSize({ animate: false, pan: true });
    if (!this.#touched) this.#map.fitBounds(this.#home, { padding: [4, 4], animate: false });
  }

  destroy(): void {
    this.#map.remove();
  }
}

function text(tag: string, className: string, words = ""): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = words;
  return element;
}

function icon(className: string, html: HTMLElement): leaflet.DivIcon {
  return leaflet.divIcon({ className, html, iconSize: undefined });
}
