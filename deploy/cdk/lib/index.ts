export { Hitherto, HithertoProps } from "./hitherto";
export { Settings, chartValues } from "./values";
