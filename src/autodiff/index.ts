export { differentiate, gradients } from './differentiate.ts';
